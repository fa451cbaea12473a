"""Every architecture, at random tiny weights, does what the contract of encoders says."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CONFIG_MAPPING, AutoModel, AutoTokenizer

from local_tokenizers import KINDS, SENTENCES
from polytask.data.batching import Inputs, pad
from polytask.data.feed import ragged
from polytask.data.views import Row
from polytask.encoders import Encoder
from polytask.encoders.pretrained import Pretrained
from polytask.errors import ConfigError, RunError

SIZES: dict[str, object] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 40,
}
ROBERTA = {**SIZES, "type_vocab_size": 1, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
BART: dict[str, object] = {
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 40,
}
T5: dict[str, object] = {
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 2,
    "num_decoder_layers": 1,
    "num_heads": 2,
}
DEBERTA: dict[str, object] = {
    **SIZES,
    "type_vocab_size": 0,
    "relative_attention": True,
    "position_buckets": 8,
    "pos_att_type": ["p2c", "c2p"],
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "position_biased_input": False,
    "max_relative_positions": -1,
    "pad_token_id": 1,
}
MODERN: dict[str, object] = {
    **SIZES,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "cls_token_id": 0,
    "eos_token_id": 2,
    "sep_token_id": 2,
    "local_attention": 8,
}
DISTIL: dict[str, object] = {
    "dim": 16,
    "hidden_dim": 32,
    "n_layers": 2,
    "n_heads": 2,
    "max_position_embeddings": 40,
}
ARCHITECTURES: Mapping[str, tuple[str, dict[str, object]]] = {
    "bert": ("wordpiece", SIZES),
    "roberta": ("byte_level", ROBERTA),
    "deberta-v2": ("metaspace", DEBERTA),
    "electra": ("wordpiece", {**SIZES, "embedding_size": 8}),
    "modernbert": ("byte_level", MODERN),
    "xlm-roberta": ("metaspace", ROBERTA),
    "distilbert": ("wordpiece", DISTIL),
    "mpnet": ("metaspace", {**SIZES, "pad_token_id": 1}),
    "t5": ("without_prefix", T5),
    "bart": ("byte_level", BART),
}
ROWS: list[Row] = [(SENTENCES[0],), ("help", SENTENCES[4]), (["我", "的", "order"],)]


def make_folder(folder: Path, model_type: str) -> Path:
    kind, options = ARCHITECTURES[model_type]
    tokenizer = KINDS[kind]()
    config = CONFIG_MAPPING[model_type](**options, vocab_size=len(tokenizer))
    torch.manual_seed(0)
    AutoModel.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def opened(folder: Path) -> Encoder:
    source = Pretrained(name=folder.name, max_tokens=32, dropout=0.0)
    return source.create(lambda: iter(()), base=folder.parent, note=print).eval()


def inputs_of(encoder: Encoder, rows: list[Row], *, num_tokens: int | None = None) -> Inputs:
    tokeniser = encoder.tokeniser
    return pad(
        ragged(tokeniser.encode(rows)),
        pad_id=tokeniser.pad_id,
        segment=tokeniser.second_segment,
        num_tokens=num_tokens,
    )


@pytest.fixture(scope="module", params=ARCHITECTURES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_folder(tmp_path_factory.mktemp(request.param), request.param)


@torch.no_grad()
def test_rows_become_hidden_states_and_padding_does_not_change_them(folder: Path) -> None:
    encoder = opened(folder)
    together = inputs_of(encoder, ROWS, num_tokens=32)

    hidden = encoder(together)

    assert hidden.shape == (3, 32, encoder.width) == (3, 32, 16)
    for place, row in enumerate(ROWS):
        alone: Tensor = encoder(inputs_of(encoder, [row]))[0]
        torch.testing.assert_close(hidden[place, : len(alone)], alone, atol=1e-4, rtol=0)


def test_every_parameter_of_the_blocks_gets_a_gradient_and_stands_in_one_block(
    folder: Path,
) -> None:
    encoder = opened(folder)

    encoder(inputs_of(encoder, ROWS)).square().sum().backward()

    blocks = encoder.blocks()
    flat = [parameter for block in blocks for parameter in block]
    names = {id(parameter): name for name, parameter in encoder.named_parameters()}
    assert [names[id(p)] for p in flat if p.grad is None] == []
    assert len({id(p) for p in flat}) == len(flat)
    used = {id(p) for p in encoder.parameters() if p.grad is not None}
    assert used == {id(p) for p in flat}
    assert len(blocks) == 3  # embeddings and two layers


@torch.no_grad()
def test_saved_and_opened_it_gives_the_same_states_and_transformers_loads_it(
    folder: Path, tmp_path: Path
) -> None:
    encoder = opened(folder)
    inputs = inputs_of(encoder, ROWS)

    encoder.save(tmp_path)

    again = Pretrained(name="unused", max_tokens=32, dropout=0.0).open(tmp_path).eval()
    torch.testing.assert_close(again(inputs), encoder(inputs), atol=0, rtol=0)
    assert again.tokeniser.fingerprint == encoder.tokeniser.fingerprint
    plain = AutoModel.from_pretrained(tmp_path, local_files_only=True)
    expected = dict(encoder.named_parameters())
    assert all(torch.equal(expected[f"model.{n}"], p) for n, p in plain.named_parameters())
    assert len(AutoTokenizer.from_pretrained(tmp_path)("help").input_ids) > 1


def trained(folder: Path, *, dropout: float) -> Encoder:
    source = Pretrained(name=folder.name, max_tokens=32, dropout=dropout)
    return source.create(lambda: iter(()), base=folder.parent, note=print).train()


@torch.no_grad()
def test_no_dropout_means_none_anywhere(folder: Path) -> None:
    encoder = trained(folder, dropout=0.0)
    inputs = inputs_of(encoder, ROWS)

    assert torch.equal(encoder(inputs), encoder(inputs))


def test_the_dropout_asked_for_is_the_dropout_of_every_layer(folder: Path) -> None:
    encoder = trained(folder, dropout=0.25)

    modules = {m.p for m in encoder.modules() if isinstance(m, torch.nn.Dropout)}
    assert modules <= {0.25}
    inputs = inputs_of(encoder, ROWS)
    assert not torch.equal(encoder(inputs), encoder(inputs))


def test_gradient_checkpointing_changes_no_gradient(folder: Path) -> None:
    if folder.name.startswith("mpnet"):
        with pytest.raises(ConfigError) as fault:
            trained(folder, dropout=0.0).recompute_activations()
        assert str(fault.value).startswith("train.gradient_checkpointing: MPNetModel does not")
        return
    gradients = []
    for is_on in (False, True):
        encoder = trained(folder, dropout=0.0)
        if is_on:
            encoder.recompute_activations()
        encoder(inputs_of(encoder, ROWS)).square().sum().backward()
        gradients.append([p.grad for block in encoder.blocks() for p in block])

    for one, two in zip(*gradients, strict=True):
        torch.testing.assert_close(one, two)


@torch.no_grad()
def test_the_longest_row_allowed_fits_and_one_token_more_is_refused(folder: Path) -> None:
    limits = {"roberta": 38, "xlm-roberta": 38, "mpnet": 38, "t5": 64}
    limit = limits.get(folder.name.removesuffix("0"), 40)
    encoder = Pretrained(name="unused", max_tokens=limit).open(folder)

    hidden = encoder(inputs_of(encoder, [("help " * 80,)]))

    assert hidden.shape[1] == limit
    if limit != 64:
        with pytest.raises(ConfigError) as fault:
            Pretrained(name="unused", max_tokens=limit + 1).open(folder)
        expected = f"max_tokens: {limit + 1} is more than the encoder's {limit}"
        assert str(fault.value) == expected


def test_weights_that_are_not_all_there_are_refused(folder: Path, tmp_path: Path) -> None:
    opened(folder).save(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    block = next(name for name in weights if ".1." in name and not name.startswith("decoder"))
    del weights[block]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})

    with pytest.raises(RunError) as fault:
        opened(tmp_path)

    assert str(fault.value) == f"{tmp_path}: model.safetensors lacks 1 weights: {block}, …"
