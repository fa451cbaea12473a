"""Checks an encoder's `config.json` before transformers sees it.

A configuration is data from strangers: it can name code to import, kernels to fetch, and sizes that
exhaust memory. Only known architectures, keys and ranges pass.
"""

import json
from pathlib import Path

from transformers import CONFIG_MAPPING, PretrainedConfig

from polytask.errors import RunError, did_you_mean

ARCHITECTURES = (
    "albert",
    "bart",
    "bert",
    "camembert",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "eurobert",
    "mbart",
    "modernbert",
    "mpnet",
    "mt5",
    "nystromformer",
    "roberta",
    "t5",
    "xlm-roberta",
)
"""Values of `model_type` that load: encoders, and encoder-decoders of which the encoder is used."""

_LARGEST = {
    "vocab_size": 2_000_000,
    "hidden_size": 16_384,
    "d_model": 16_384,
    "dim": 16_384,
    "embedding_size": 16_384,
    "intermediate_size": 131_072,
    "d_ff": 131_072,
    "hidden_dim": 131_072,
    "encoder_ffn_dim": 131_072,
    "decoder_ffn_dim": 131_072,
    "num_hidden_layers": 256,
    "num_layers": 256,
    "n_layers": 256,
    "encoder_layers": 256,
    "decoder_layers": 256,
    "num_decoder_layers": 256,
    "num_attention_heads": 256,
    "num_heads": 256,
    "n_heads": 256,
    "encoder_attention_heads": 256,
    "decoder_attention_heads": 256,
    "max_position_embeddings": 1_048_576,
    "type_vocab_size": 1_024,
    "d_kv": 16_384,
    "head_dim": 16_384,
    "attention_head_size": 16_384,
    "pooler_hidden_size": 16_384,
    "num_key_value_heads": 256,
    "num_hidden_groups": 256,
    "inner_group_num": 256,
    "relative_attention_num_buckets": 65_536,
    "position_buckets": 1_048_576,
    "max_relative_positions": 1_048_576,
    "conv_kernel_size": 1_024,
    "conv_groups": 16_384,
}
_LEAST = {
    "type_vocab_size": 0,
    "position_buckets": -1,
    "max_relative_positions": -1,
    "conv_kernel_size": 0,
}
# DeBERTa reads these although its configuration class does not declare them.
_UNDECLARED = {
    "attention_head_size",
    "conv_act",
    "conv_groups",
    "conv_kernel_size",
    "norm_rel_ebd",
    "position_buckets",
    "share_att_key",
}
_LEGACY = {"global_rope_theta", "local_rope_theta", "rope_theta", "rope_scaling", "n_positions"}
_REFUSED = ("auto_map", "attn_implementation", "quantization_config", "experts_implementation")


def safe_config(folder: Path) -> PretrainedConfig:
    """The configuration in `folder/config.json`, if every key of it is known and in range.

    Raises RunError for an unknown architecture, a key that could run or fetch code and a size out
    of range. The configuration is rebuilt from the keys that its architecture knows; others, which
    have no effect, never reach transformers.
    """
    file = folder / "config.json"
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{folder}: no config.json: not the folder of an encoder") from error
    except (ValueError, RecursionError, OSError) as error:
        raise RunError(f"{file}: is damaged: {error}") from error
    if not isinstance(raw, dict):
        raise RunError(f"{file}: expected a JSON object")
    model_type = raw.get("model_type")
    if model_type not in ARCHITECTURES:
        hint = did_you_mean(str(model_type), ARCHITECTURES)
        raise RunError(f"{file}: cannot load the architecture '{model_type}'. {hint}")
    faults = [fault for key, value in raw.items() if (fault := _fault(key, value))]
    if faults:
        raise RunError(f"{file}: {'; '.join(faults)}")
    known = set(CONFIG_MAPPING[model_type]().to_dict()) | _LEGACY | _UNDECLARED
    kept = {key: value for key, value in raw.items() if key in known}
    config: PretrainedConfig = CONFIG_MAPPING[model_type].from_dict(kept)
    return config


def _fault(key: str, value: object) -> str | None:
    if any(word in key for word in _REFUSED) and not isinstance(value, bool | None):
        return f"'{key}' may run or fetch code and is not accepted. Remove the key"
    if key in _LARGEST and value is not None:
        least = _LEAST.get(key, 1)
        if isinstance(value, bool) or not isinstance(value, int):
            return f"{key}: expected a whole number, got {json.dumps(value)[:40]}"
        if not least <= value <= _LARGEST[key]:
            return f"{key}: expected {least} to {_LARGEST[key]}, got {value}"
    if "dropout" in key and isinstance(value, int | float) and not 0 <= value < 1:
        return f"{key}: expected 0 to below 1, got {value}"
    return None
