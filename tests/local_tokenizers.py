"""One small tokenizer of every kind, made here from a few sentences."""

from collections.abc import Callable, Mapping

from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

from polytask.encoders.vocabulary import train_tokenizer

SENTENCES = [
    "The printer in room 12 doesn't answer, please help.",
    "Please send the invoice to the new address in Berlin!",
    "My order arrived late and the screen is broken :(",
    "打印机坏了，请帮忙。",
    "我的订单还没有到，请查一下。",
    "北京的天气很好，我爱北京。",
] * 3
_BERT_MARKS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_ROBERTA_MARKS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
_UNKNOWN = "<unk>"


def _framed(backend: Tokenizer, single: str, pair: str, marks: list[str]) -> Tokenizer:
    backend.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[(m, backend.token_to_id(m)) for m in marks]
    )
    return backend


def wordpiece() -> PreTrainedTokenizerFast:
    """As BERT, ELECTRA, DistilBERT and MiniLM have it."""
    backend = Tokenizer(models.WordPiece(unk_token=_BERT_MARKS[1]))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=180, special_tokens=_BERT_MARKS, show_progress=False
    )
    backend.train_from_iterator(SENTENCES, trainer)
    _framed(backend, "[CLS] $A [SEP]", "[CLS] $A [SEP] $B:1 [SEP]:1", ["[CLS]", "[SEP]"])
    return _fast(backend, _BERT_MARKS)


def byte_level() -> PreTrainedTokenizerFast:
    """As RoBERTa, ModernBERT and BART have it: no space before the first word of a text."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=_ROBERTA_MARKS,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(SENTENCES, trainer)
    start, end = _ROBERTA_MARKS[0], _ROBERTA_MARKS[2]
    backend.post_processor = processors.RobertaProcessing(
        (end, 2), (start, 0), add_prefix_space=False
    )
    return _fast(backend, ["<pad>", "<unk>", "<s>", "</s>", "<mask>"])


def _unigram(special: list[str]) -> Tokenizer:
    backend = Tokenizer(models.Unigram())
    backend.normalizer = normalizers.NFKC()
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    backend.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=150, special_tokens=special, unk_token=_UNKNOWN, show_progress=False
    )
    backend.train_from_iterator(SENTENCES, trainer)
    return backend


def metaspace() -> PreTrainedTokenizerFast:
    """As XLM-R and DeBERTa-v3 have it."""
    backend = _unigram(_ROBERTA_MARKS)
    _framed(backend, "<s> $A </s>", "<s> $A </s> </s> $B </s>", ["<s>", "</s>"])
    return _fast(backend, ["<pad>", "<unk>", "<s>", "</s>", "<mask>"])


def without_prefix() -> PreTrainedTokenizerFast:
    """As T5 has it: no token before the text."""
    pad, end = "<pad>", "</s>"
    backend = _unigram([pad, end, _UNKNOWN])
    _framed(backend, "$A </s>", "$A </s> $B </s>", [end])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token=pad, unk_token=_UNKNOWN, eos_token=end
    )


def ours() -> PreTrainedTokenizerFast:
    """Learned from texts, as `kind: scratch` has it."""
    return train_tokenizer(lambda: iter(SENTENCES), 200, lowercase=True)


def _fast(backend: Tokenizer, marks: list[str]) -> PreTrainedTokenizerFast:
    pad, unknown, start, end, mask = marks
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token=pad,
        unk_token=unknown,
        cls_token=start,
        sep_token=end,
        mask_token=mask,
    )


KINDS: Mapping[str, Callable[[], PreTrainedTokenizerFast]] = {
    "wordpiece": wordpiece,
    "byte_level": byte_level,
    "metaspace": metaspace,
    "without_prefix": without_prefix,
    "ours": ours,
}
