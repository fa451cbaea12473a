"""How well predicted dependency trees meet gold trees, by the rules of CoNLL 2018."""

import math
from collections.abc import Sequence

_CONTENT = {
    *("nsubj", "obj", "iobj", "csubj", "ccomp", "xcomp", "obl", "vocative", "expl", "dislocated"),
    *("advcl", "advmod", "discourse", "nmod", "appos", "nummod", "acl", "amod", "conj", "fixed"),
    *("flat", "compound", "list", "parataxis", "orphan", "goeswith", "reparandum", "root", "dep"),
}

Arc = tuple[int, str]
"""The head of a word (0 for the root, otherwise counted from 1) and its relation."""


def parse_metrics(
    gold: Sequence[Sequence[Arc]], predicted: Sequence[Sequence[Arc | None]]
) -> dict[str, float]:
    """LAS, UAS and CLAS of sentences; None is a wrong arc. nan without any word.

    Every word counts, punctuation too. Relations are compared up to the colon: `nmod:poss` is
    `nmod`. CLAS is the F1 of words with a content relation. Source: Zeman et al., "CoNLL 2018
    Shared Task: Multilingual Parsing from Raw Text to Universal Dependencies" (CoNLL 2018).
    """
    num_words = num_heads = num_right = num_gold = num_found = num_content = 0
    for arcs, answers in zip(gold, predicted, strict=True):
        for arc, answer in zip(arcs, answers, strict=True):
            relation, other = _universal(arc), _universal(answer)
            has_head = answer is not None and answer[0] == arc[0]
            is_right = has_head and relation == other
            num_words += 1
            num_heads += has_head
            num_right += is_right
            num_gold += relation in _CONTENT
            num_found += other in _CONTENT
            num_content += is_right and relation in _CONTENT
    if not num_words:
        return dict.fromkeys(("las", "uas", "clas"), math.nan)
    return {
        "las": num_right / num_words,
        "uas": num_heads / num_words,
        "clas": 2 * num_content / max(num_gold + num_found, 1),
    }


def _universal(arc: Arc | None) -> str:
    return "" if arc is None else arc[1].partition(":")[0]
