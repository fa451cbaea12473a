"""Learns a tokeniser from texts; the same texts give the same tokeniser, even at ties."""

from collections import Counter
from collections.abc import Callable, Iterator

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_UNSPACED = "[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]"
_SPACE = "\u2581"
_RARE = 2


def train_tokenizer(
    texts: Callable[[], Iterator[str]], size: int, *, lowercase: bool
) -> PreTrainedTokenizerFast:
    """Byte-pair encoding (Sennrich, Haddow and Birch, ACL 2016) inside words; each Han is alone.

    Characters seen twice or more are kept, the most frequent first, up to four fifths of `size`.
    Merges carry no word prefix or suffix of their own: with one, the library numbers the marked
    characters in hash order, and equal counts would be merged differently from run to run.
    """
    backend = Tokenizer(models.BPE(unk_token="[UNK]"))  # noqa: S106
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFC(), *([normalizers.Lowercase()] if lowercase else [])]
    )
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Metaspace(prepend_scheme="always"),
            pre_tokenizers.Split(Regex(rf"{_SPACE}(?={_SPACE}|{_UNSPACED}|\p{{P}}|$)"), "removed"),
            pre_tokenizers.Split(Regex(_UNSPACED), "isolated"),
            pre_tokenizers.Punctuation(),
        ]
    )
    backend.decoder = decoders.Metaspace()
    alphabet = _alphabet(backend, texts(), size * 4 // 5)
    trainer = BpeTrainer(
        vocab_size=size,
        special_tokens=list(SPECIAL),
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
        min_frequency=_RARE,
        show_progress=False,
    )
    backend.train_from_iterator(texts(), trainer)
    marks = [(mark, backend.token_to_id(mark)) for mark in ("[CLS]", "[SEP]")]
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=marks
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",  # noqa: S106
        unk_token="[UNK]",  # noqa: S106
        cls_token="[CLS]",  # noqa: S106
        sep_token="[SEP]",  # noqa: S106
        mask_token="[MASK]",  # noqa: S106
    )


def _alphabet(backend: Tokenizer, texts: Iterator[str], limit: int) -> list[str]:
    counts: Counter[str] = Counter()
    num_texts = 0
    for text in texts:
        counts.update(backend.normalizer.normalize_str(text))
        num_texts += 1
    counts[_SPACE] = num_texts + _RARE
    del counts[" "]
    common = [c for c, n in counts.items() if n >= _RARE or num_texts < _RARE]
    return sorted(common, key=lambda c: (-counts[c], c))[:limit]
