"""`kind: scratch`: a small transformer with a tokeniser of its own, for runs without a hub."""

from pathlib import Path
from typing import Annotated

from pydantic import Field
from transformers import BertConfig, BertModel

from polytask.encoders.encoder import Encoder, EncoderSource, Note, Texts
from polytask.encoders.transformer import Transformer, open_transformer
from polytask.encoders.vocabulary import train_tokenizer
from polytask.errors import ConfigError


class Scratch(EncoderSource):
    """A small transformer trained from nothing, its tokeniser learned from the training texts."""

    def __init__(
        self,
        *,
        layers: Annotated[int, Field(ge=1, le=48)] = 2,
        width: Annotated[int, Field(ge=8, le=4096)] = 192,
        attention_heads: Annotated[int, Field(ge=1, le=64)] = 4,
        vocabulary: Annotated[int, Field(ge=64, le=500_000)] = 8000,
        max_tokens: Annotated[int, Field(ge=8, le=8192)] = 128,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        lowercase: bool = True,
    ) -> None:
        if width % attention_heads:
            raise ConfigError(
                f"width: {width} is not a multiple of {attention_heads} attention heads"
            )
        self.layers = layers
        self.width = width
        self.attention_heads = attention_heads
        self.vocabulary = vocabulary
        self.max_tokens = max_tokens
        self.dropout = dropout
        self.lowercase = lowercase

    def create(self, texts: Texts, *, base: Path, note: Note) -> Encoder:
        """Learns the tokeniser, then draws the weights from torch's global generator."""
        tokenizer = train_tokenizer(texts, self.vocabulary, lowercase=self.lowercase)
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=self.width,
            num_hidden_layers=self.layers,
            num_attention_heads=self.attention_heads,
            intermediate_size=4 * self.width,
            max_position_embeddings=self.max_tokens,
            hidden_dropout_prob=self.dropout,
            attention_probs_dropout_prob=self.dropout,
            pad_token_id=tokenizer.pad_token_id,
        )
        note(f"Learned a vocabulary of {len(tokenizer)} tokens from the training texts.")
        return Transformer(BertModel(config), tokenizer, max_tokens=self.max_tokens)

    def open(self, folder: Path) -> Encoder:
        """The encoder saved in a run folder."""
        return open_transformer(folder, max_tokens=self.max_tokens, dropout=self.dropout)
