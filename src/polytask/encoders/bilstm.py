"""`kind: bilstm`: a bidirectional LSTM over token embeddings, the classic before transformers."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

from pydantic import Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from polytask.data.batching import Inputs
from polytask.data.tokeniser import Tokeniser
from polytask.encoders.encoder import Encoder, EncoderSource, Note, Texts
from polytask.encoders.vocabulary import train_tokenizer
from polytask.errors import ConfigError, RunError

_SPREAD = 0.1
"""Standard deviation of new embeddings: with torch's own, 1, a small set is learned worse."""

_WEIGHTS = "model.safetensors"
_CONFIG = "config.json"


class LSTMEncoder(Encoder):
    """Embeddings, then bidirectional LSTM layers; padding never reaches a real token's state."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        *,
        layers: int,
        width: int,
        bigrams: int,
        max_tokens: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.tokeniser = Tokeniser(
            tokenizer.backend_tokenizer, max_tokens=max_tokens, pad_id=tokenizer.pad_token_id or 0
        )
        self.width = width
        self.embed = nn.Embedding(len(tokenizer), width)
        nn.init.normal_(self.embed.weight, std=_SPREAD)
        self.pairs = nn.Embedding(bigrams, width) if bigrams else None
        if self.pairs is not None:
            nn.init.zeros_(self.pairs.weight)  # a pair that was never seen says nothing
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.ModuleList(
            nn.LSTM(width, width // 2, batch_first=True, bidirectional=True) for _ in range(layers)
        )

    def forward(self, inputs: Inputs) -> Tensor:
        """Hidden states of the last layer, both directions side by side."""
        lengths = inputs.mask.sum(1).cpu()  # (rows,)
        hidden: Tensor = self.embed(inputs.token_ids)  # (rows, tokens, width)
        if self.pairs is not None:
            hidden = hidden + self.pairs(_buckets(inputs.token_ids, self.pairs.num_embeddings))
        hidden = self.dropout(hidden)
        for layer in self.layers:
            packed = nn.utils.rnn.pack_padded_sequence(
                hidden, lengths, batch_first=True, enforce_sorted=False
            )
            states, _ = nn.utils.rnn.pad_packed_sequence(
                layer(packed)[0], batch_first=True, total_length=hidden.shape[1]
            )
            hidden = self.dropout(states)  # (rows, tokens, width)
        return hidden

    def blocks(self) -> Sequence[Sequence[nn.Parameter]]:
        """Embeddings first, then one block a layer."""
        embeddings = [p for some in (self.embed, self.pairs) if some for p in some.parameters()]
        return [embeddings, *(list(layer.parameters()) for layer in self.layers)]

    def token_embeddings(self) -> nn.Parameter:
        """The embeddings of all tokens: (tokens, width)."""
        return cast(nn.Parameter, self.embed.weight)

    def save(self, folder: Path) -> None:
        """Weights and sizes of its own format: `AutoModel` knows no LSTM."""
        save_file(self.state_dict(), folder / _WEIGHTS)
        sizes = {"model_type": "polytask-bilstm", "vocabulary": self.embed.num_embeddings}
        (folder / _CONFIG).write_text(json.dumps(sizes, indent=2) + "\n", encoding="utf-8")
        self.tokenizer.save_pretrained(folder)


class BiLSTM(EncoderSource):
    """A bidirectional LSTM trained from nothing, its tokeniser learned from the training texts.

    `bigrams`: so many more embeddings, of pairs of neighbouring tokens by a hash (Bojanowski et
    al., "Enriching Word Vectors with Subword Information", TACL 2017): they help where characters
    say little alone, as in Chinese. With `layers: 0` the embeddings are the hidden states: a bag of
    words for tasks that average them (Joulin et al., "Bag of Tricks for Efficient Text
    Classification", EACL 2017), fast, and hard to beat on small sets of short texts.
    """

    def __init__(
        self,
        *,
        layers: Annotated[int, Field(ge=0, le=16)] = 2,
        width: Annotated[int, Field(ge=2, le=4096)] = 256,
        vocabulary: Annotated[int, Field(ge=64, le=500_000)] = 8000,
        bigrams: Annotated[int, Field(ge=0, le=1_000_000)] = 0,
        max_tokens: Annotated[int, Field(ge=8, le=8192)] = 128,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3,
        lowercase: bool = True,
    ) -> None:
        if width % 2:
            raise ConfigError(f"width: {width} is odd, but each direction takes half")
        self.layers = layers
        self.width = width
        self.vocabulary = vocabulary
        self.bigrams = bigrams
        self.max_tokens = max_tokens
        self.dropout = dropout
        self.lowercase = lowercase

    def create(self, texts: Texts, *, base: Path, note: Note) -> Encoder:
        """Learns the tokeniser, then draws the weights from torch's global generator."""
        tokenizer = train_tokenizer(texts, self.vocabulary, lowercase=self.lowercase)
        note(f"Learned a vocabulary of {len(tokenizer)} tokens from the training texts.")
        return self._encoder(tokenizer)

    def open(self, folder: Path) -> Encoder:
        """The encoder saved in a run folder."""
        try:
            tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
            encoder = self._encoder(tokenizer)
            encoder.load_state_dict(load_file(folder / _WEIGHTS))
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise RunError(f"{folder}: this encoder does not load: {error}") from error
        return encoder

    def _encoder(self, tokenizer: PreTrainedTokenizerFast) -> LSTMEncoder:
        return LSTMEncoder(
            tokenizer,
            layers=self.layers,
            width=self.width,
            bigrams=self.bigrams,
            max_tokens=self.max_tokens,
            dropout=self.dropout,
        )


def _buckets(token_ids: Tensor, num: int) -> Tensor:
    """A number below `num` for each token and the one before it: (rows, tokens)."""
    before = nn.functional.pad(token_ids[:, :-1], (1, 0))
    return (before * 1_000_003 + token_ids * 8191) % num
