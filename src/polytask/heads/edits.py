"""From a form to its lemma by a short script of edits, such as: lower it, drop two letters."""

import json
from difflib import SequenceMatcher
from functools import lru_cache

_ABSOLUTE = "a"
_MODES = "lktu"
"""What becomes of the form before, and of the result after: lowered; kept; title; upper."""


@lru_cache(maxsize=1 << 16)
def script_of(form: str, lemma: str) -> str:
    """The shortest script that makes the lemma of the form, as text.

    What both share longest stays; letters before and behind it are dropped and added. Where they
    share nothing the script is the lemma itself. Scripts of this kind: Straka, "UDPipe 2.0
    Prototype at CoNLL 2018 UD Shared Task".
    """
    found: list[tuple[int, list[object]]] = []
    for mode in _MODES:
        source = form if mode == "k" else form.lower()
        target = lemma if mode in "lk" else lemma.lower()
        match = SequenceMatcher(None, source, target, autojunk=False).find_longest_match()
        if not match.size:
            continue
        i, j, end_i, end_j = match.a, match.b, match.a + match.size, match.b + match.size
        script = [mode, i, target[:j], len(source) - end_i, target[end_j:]]
        if _apply(script, form) == lemma:
            cost = i + j + len(source) - end_i + len(target) - end_j
            found.append((cost, script))
    best = min(found, key=lambda pair: pair[0], default=(0, [_ABSOLUTE, lemma]))[1]
    return json.dumps(best, ensure_ascii=False)


@lru_cache(maxsize=1 << 16)
def apply_script(script: str, form: str) -> str | None:
    """What a script makes of a form; None if it drops more than there is, or leaves nothing."""
    return _apply(json.loads(script), form)


def _apply(script: list[object], form: str) -> str | None:
    if script[0] == _ABSOLUTE:
        return str(script[1])
    mode, drop_before, add_before, drop_behind, add_behind = script
    source = form if mode == "k" else form.lower()
    start, end = int(str(drop_before)), len(source) - int(str(drop_behind))
    if start > end:
        return None
    made = f"{add_before}{source[start:end]}{add_behind}"
    if mode == "t":
        made = made[:1].upper() + made[1:]
    return (made.upper() if mode == "u" else made) or None
