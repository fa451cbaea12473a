"""An encoder around any Hugging Face text encoder, pretrained or not."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    AutoModel,
    AutoTokenizer,
    PretrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

from polytask.data.batching import Inputs
from polytask.data.tokeniser import Tokeniser
from polytask.encoders.encoder import Encoder
from polytask.encoders.guard import safe_config
from polytask.errors import ConfigError, RunError

_AFTER_THE_LAYERS = ("final_norm", "final_layer_norm", "norm.", "layernorm")
_COUNT_FROM_PADDING = ("camembert", "mpnet", "roberta", "xlm-roberta")
_TOKENISERS = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "spm.model",
)
_UNUSED = re.compile(r"(^|\.)pooler\.|^decoder\.")


class Transformer(Encoder):
    """Hidden states of the last layer of a transformer; the encoder half of an encoder-decoder."""

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, *, max_tokens: int
    ) -> None:
        super().__init__()
        limit = _longest_row(model.config)
        if limit and max_tokens > limit:
            raise ConfigError(f"max_tokens: {max_tokens} is more than the encoder's {limit}")
        self.model = model
        self.tokenizer = tokenizer
        self.tokeniser = Tokeniser(
            tokenizer.backend_tokenizer, max_tokens=max_tokens, pad_id=tokenizer.pad_token_id or 0
        )
        self.width = int(model.config.hidden_size)
        self._has_segments = (getattr(model.config, "type_vocab_size", 0) or 0) > 1

    def forward(self, inputs: Inputs) -> Tensor:
        """Hidden states of the last layer."""
        segments = {"token_type_ids": inputs.segment_ids} if self._has_segments else {}
        output = self._encoder(
            input_ids=inputs.token_ids, attention_mask=inputs.mask.long(), **segments
        )
        hidden: Tensor = output.last_hidden_state  # (rows, tokens, width)
        return hidden

    def blocks(self) -> Sequence[Sequence[nn.Parameter]]:
        """Embeddings first, then one block a layer, without the pooler, which nothing reads."""
        layers = self.layer_modules()
        in_layers = {id(p) for layer in layers for p in layer.parameters()}
        below: list[nn.Parameter] = []
        above: list[nn.Parameter] = []
        for name, parameter in self._encoder.named_parameters():
            if id(parameter) not in in_layers and not name.startswith("pooler."):
                is_above = name.startswith(_AFTER_THE_LAYERS)
                (above if is_above else below).append(parameter)
        blocks = [list(layer.parameters()) for layer in layers]
        blocks[-1] += above
        return [below, *blocks]

    def recompute_activations(self) -> None:
        """Of each layer only its input is kept. Raises ConfigError if the model cannot do that."""
        try:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        except ValueError as error:
            raise ConfigError(f"train.gradient_checkpointing: {error}") from error

    def token_embeddings(self) -> nn.Parameter:
        """The embeddings of all tokens: (tokens, width of embeddings)."""
        return cast(nn.Parameter, self.model.get_input_embeddings().weight)

    def save(self, folder: Path) -> None:
        """What `AutoModel.from_pretrained` and `AutoTokenizer.from_pretrained` load."""
        with _without_bars():
            self.model.save_pretrained(folder, safe_serialization=True)
            self.tokenizer.save_pretrained(folder)

    @property
    def _encoder(self) -> nn.Module:
        if getattr(self.model.config, "is_encoder_decoder", False):
            half: nn.Module = self.model.get_encoder()
            return half
        return self.model

    def layer_modules(self) -> Sequence[nn.Module]:
        """The transformer's layers."""
        lists = [m for m in self._encoder.modules() if isinstance(m, nn.ModuleList) and len(m)]
        largest = max(lists, key=lambda found: sum(p.numel() for p in found.parameters()))
        return list(largest)


def _longest_row(config: PretrainedConfig) -> int | None:
    limit: int | None = getattr(config, "max_position_embeddings", None)
    if limit is None or config.model_type not in _COUNT_FROM_PADDING:
        return limit
    return limit - (config.pad_token_id or 0) - 1


@contextmanager
def _without_bars() -> Iterator[None]:
    """A model that loads in a blink needs no progress bar over ours."""
    was_on = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if was_on:
            logging.enable_progress_bar()


def open_transformer(
    folder: Path,
    *,
    max_tokens: int,
    dropout: float | None = None,
    dtype: torch.dtype = torch.float32,
) -> Transformer:
    """The transformer and tokeniser of a local folder: safetensors only, no code from the folder.

    Raises RunError if the folder cannot be used.
    """
    config = safe_config(folder)
    if dropout is not None:
        for key in config.to_dict():
            if "dropout" in key and getattr(config, key) is not None:
                setattr(config, key, dropout)
    try:
        with _without_bars():
            model, loaded = AutoModel.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
        tokenizer = AutoTokenizer.from_pretrained(
            folder, use_fast=True, local_files_only=True, trust_remote_code=False
        )
    except (OSError, ValueError, RuntimeError, ImportError, SafetensorError) as error:
        raise RunError(f"{folder}: this encoder does not load: {str(error).strip()}") from error
    missing = sorted(name for name in loaded["missing_keys"] if not _UNUSED.search(name))
    if missing:
        raise RunError(f"{folder}: model.safetensors lacks {len(missing)} weights: {missing[0]}, …")
    return Transformer(model, _checked(tokenizer, folder, model), max_tokens=max_tokens)


def _checked(tokenizer: object, folder: Path, model: PreTrainedModel) -> PreTrainedTokenizerFast:
    # Without any of these files transformers makes a tokeniser that knows no word.
    has_tokens = any((folder / name).is_file() for name in _TOKENISERS)
    if not has_tokens or not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise RunError(f"{folder}: needs a fast tokeniser (tokenizer.json), found none")
    num_known = cast(nn.Embedding, model.get_input_embeddings()).num_embeddings
    if len(tokenizer) > num_known:
        found = f"the tokeniser has {len(tokenizer)} tokens but the weights only {num_known}"
        raise RunError(f"{folder}: {found}")
    return tokenizer
