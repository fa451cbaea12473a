"""Encoders: tokens to hidden states. Each kind is one file; this dict names them."""

from collections.abc import Mapping

from polytask.encoders.bilstm import BiLSTM
from polytask.encoders.encoder import Encoder, EncoderSource, Note, Texts
from polytask.encoders.pretrained import Pretrained
from polytask.encoders.scratch import Scratch

ENCODERS: Mapping[str, type[EncoderSource]] = {
    "pretrained": Pretrained,
    "scratch": Scratch,
    "bilstm": BiLSTM,
}

__all__ = ["ENCODERS", "Encoder", "EncoderSource", "Note", "Texts"]
