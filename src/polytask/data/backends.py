"""What tokenisers of the `tokenizers` library put around texts, and how they are told otherwise."""

import json
from dataclasses import dataclass

from tokenizers import Tokenizer


@dataclass(frozen=True, slots=True)
class Frame:
    """The special tokens of a row, and the segment id of its second text."""

    before: tuple[int, ...]
    between: tuple[int, ...]
    after: tuple[int, ...]
    second_segment: int

    @property
    def num_special(self) -> int:
        """How many tokens of a row are not of its texts."""
        return len(self.before) + len(self.between) + len(self.after)


def frame_of(backend: Tokenizer, num_segments: int) -> Frame:
    """What a tokeniser puts around one text, or around two."""
    probe = backend.encode("a") if num_segments == 1 else backend.encode("a", "a")
    special = [bool(mark) for mark in probe.special_tokens_mask]
    inner = [i for i, is_special in enumerate(special) if not is_special]
    between = [i for i in range(inner[0], inner[-1]) if special[i]]
    return Frame(
        before=tuple(probe.ids[: inner[0]]),
        between=tuple(probe.ids[i] for i in between),
        after=tuple(probe.ids[inner[-1] + 1 :]),
        second_segment=probe.type_ids[inner[-1]],
    )


def keep_marks_as_text(backend: Tokenizer) -> Tokenizer:
    """A user's text that spells a special token stays text."""
    backend.encode_special_tokens = True
    return backend


def with_word_spaces(backend: Tokenizer) -> Tokenizer:
    """Each split word is tokenised as if after a space, which byte-level BPE must be told."""
    parts = json.loads(backend.to_str())

    def visit(node: object) -> None:
        if isinstance(node, dict):
            if node.get("type") == "ByteLevel":
                node["add_prefix_space"] = True
            if node.get("type") == "Metaspace":
                node["prepend_scheme"] = "always"
            for child in node.values():
                visit(child)
        elif isinstance(node, list):
            for child in node:
                visit(child)

    visit(parts.get("pre_tokenizer"))
    return Tokenizer.from_str(json.dumps(parts))


def unknown_id(backend: Tokenizer) -> int:
    """The id of the unknown token, -1 if there is none."""
    parts = json.loads(backend.to_str())["model"]
    if isinstance(parts.get("unk_id"), int):
        return int(parts["unk_id"])
    unknown = parts.get("unk_token")
    found = backend.token_to_id(unknown) if unknown else None
    return -1 if found is None else int(found)
