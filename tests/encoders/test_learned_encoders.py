from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from local_tokenizers import SENTENCES
from polytask.data.batching import Inputs, pad
from polytask.data.feed import ragged
from polytask.data.views import Row
from polytask.encoders import Encoder, EncoderSource
from polytask.encoders.bilstm import BiLSTM
from polytask.encoders.scratch import Scratch
from polytask.errors import ConfigError, RunError

ROWS: list[Row] = [(SENTENCES[0],), ("help",), (["我", "的", "order"],)]
SOURCES: dict[str, EncoderSource] = {
    "bilstm": BiLSTM(layers=2, width=16, vocabulary=100, max_tokens=32, dropout=0.3),
    "bilstm with bigrams": BiLSTM(layers=2, width=16, vocabulary=100, bigrams=50, max_tokens=32),
    "bag of bigrams": BiLSTM(layers=0, width=16, vocabulary=100, bigrams=50, max_tokens=32),
    "scratch": Scratch(
        layers=2, width=16, attention_heads=2, vocabulary=100, max_tokens=32, dropout=0.3
    ),
}
EVERY = pytest.mark.parametrize("kind", SOURCES)


def create(kind: str, seed: int = 0, notes: list[str] | None = None) -> Encoder:
    torch.manual_seed(seed)
    kept = [] if notes is None else notes
    return SOURCES[kind].create(lambda: iter(SENTENCES), base=Path(), note=kept.append).eval()


def inputs_of(encoder: Encoder, rows: list[Row], *, num_tokens: int | None = None) -> Inputs:
    encoded = ragged(encoder.tokeniser.encode(rows))
    return pad(encoded, pad_id=encoder.tokeniser.pad_id, segment=0, num_tokens=num_tokens)


@EVERY
@torch.no_grad()
def test_padding_does_not_change_the_states_of_real_tokens(kind: str) -> None:
    encoder = create(kind)

    hidden = encoder(inputs_of(encoder, ROWS, num_tokens=32))

    assert hidden.shape == (3, 32, 16)
    for place, row in enumerate(ROWS):
        alone = encoder(inputs_of(encoder, [row]))[0]
        torch.testing.assert_close(hidden[place, : len(alone)], alone, atol=1e-5, rtol=0)


@EVERY
@torch.no_grad()
def test_saved_and_opened_it_gives_equal_states(kind: str, tmp_path: Path) -> None:
    encoder = create(kind)

    encoder.save(tmp_path)

    again = SOURCES[kind].open(tmp_path).eval()
    inputs = inputs_of(encoder, ROWS)
    assert torch.equal(again(inputs), encoder(inputs))
    assert again.tokeniser.fingerprint == encoder.tokeniser.fingerprint
    assert not list(tmp_path.glob("*.bin")) + list(tmp_path.glob("*.pt"))


@EVERY
@torch.no_grad()
def test_the_seed_alone_decides_the_weights(kind: str) -> None:
    one, same, other = create(kind), create(kind), create(kind, seed=1)

    inputs = inputs_of(one, ROWS)
    assert torch.equal(one(inputs), same(inputs))
    assert not torch.equal(one(inputs), other(inputs))


def run_backwards(encoder: Encoder) -> None:
    """Two passes, the second with two backwards."""
    for rows in ([ROWS[0], ROWS[2]], [ROWS[1]]):
        hidden = encoder(inputs_of(encoder, rows, num_tokens=32))
        hidden.square().sum().backward(retain_graph=True)
    hidden.sum().backward()


def gradients(encoder: Encoder) -> dict[str, torch.Tensor | None]:
    found = {name: p.grad for name, p in encoder.named_parameters()}
    encoder.zero_grad()
    return found


@EVERY
def test_adding_up_gives_the_same_gradients_as_whole_matrices(kind: str) -> None:
    encoder = create(kind)
    encoder.never_read = torch.nn.Embedding(4, 2)

    run_backwards(encoder)
    whole = gradients(encoder)
    with encoder.adding_up():
        run_backwards(encoder)

    added = gradients(encoder)
    assert added["never_read.weight"] is None
    for name, gradient in whole.items():
        torch.testing.assert_close(added[name], gradient)


@EVERY
def test_adding_up_goes_on_from_the_gradients_there(kind: str) -> None:
    encoder = create(kind)
    for parameter in encoder.parameters():
        parameter.grad = torch.ones_like(parameter)

    with encoder.adding_up():
        encoder(inputs_of(encoder, ROWS)).sum().backward()

    there = encoder.token_embeddings().grad
    assert there is not None
    assert there.layout is torch.strided
    assert (there == 1).all(1).any()
    assert not (there == 1).all()


@EVERY
def test_every_parameter_of_the_blocks_gets_a_gradient(kind: str) -> None:
    encoder = create(kind)

    encoder(inputs_of(encoder, ROWS)).square().sum().backward()

    blocks = encoder.blocks()
    used = [p for p in encoder.parameters() if p.grad is not None]
    assert len(blocks) == (1 if kind == "bag of bigrams" else 3)
    assert {id(p) for block in blocks for p in block} == {id(p) for p in used}


@EVERY
def test_the_vocabulary_learned_is_noted(kind: str) -> None:
    notes: list[str] = []

    create(kind, notes=notes)

    assert notes == ["Learned a vocabulary of 100 tokens from the training texts."]


def test_sizes_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ConfigError) as odd:
        BiLSTM(width=15)
    with pytest.raises(ConfigError) as uneven:
        Scratch(width=20, attention_heads=3)

    assert str(odd.value) == "width: 15 is odd, but each direction takes half"
    assert str(uneven.value) == "width: 20 is not a multiple of 3 attention heads"


def test_weights_of_other_sizes_are_refused(tmp_path: Path) -> None:
    create("bilstm").save(tmp_path)

    with pytest.raises(RunError) as fault:
        BiLSTM(layers=2, width=8, vocabulary=100, max_tokens=32).open(tmp_path)

    assert str(fault.value).startswith(f"{tmp_path}: this encoder does not load: ")
    assert "size mismatch" in str(fault.value)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    create("bilstm").save(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")

    with pytest.raises(RunError) as fault:
        SOURCES["bilstm"].open(tmp_path)

    assert str(fault.value).startswith(f"{tmp_path}: this encoder does not load: ")


@pytest.mark.parametrize("kind", SOURCES)
def test_an_empty_folder_is_refused(kind: str, tmp_path: Path) -> None:
    with pytest.raises(RunError):
        SOURCES[kind].open(tmp_path)


def test_a_weight_too_few_is_refused(tmp_path: Path) -> None:
    create("bilstm").save(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    del weights["embed.weight"]
    save_file(weights, tmp_path / "model.safetensors")

    with pytest.raises(RunError):
        SOURCES["bilstm"].open(tmp_path)
