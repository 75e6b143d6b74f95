"""Our tokenizers against transformers', on 1,000 texts: unicode, long, empty, hostile."""

import dataclasses
import io
import json
import random
import unicodedata

import pytest

from model_maker.clip import tokenizer
from model_maker.clip.records import TOWERS

transformers = pytest.importorskip("transformers", reason="transformers is not installed: make parity")
sentencepiece = pytest.importorskip("sentencepiece", reason="sentencepiece is not installed: make parity")

CLIP, SIGLIP = TOWERS["tinyclip_vit_40m_32"], TOWERS["siglip_base_patch16_224"]
SAMPLE = (
    "a photo of the cat dog tabby golden retriever espresso cup snow leopard don't they're it's we'll I'd "
    "Straße ΑΣΦΑΛΕΙΑ İstanbul naïve café ſharp ﬁnch 北京 東京 日本語 한국어 עברית العربية हिन्दी ไทย русский "
    "3.14 2026 ½ ² 😀 👨‍👩‍👧 🇩🇪 e\u0301 \u200b \u00ad … — “quoted” C++ a_b x@y.z #tag 100% "
    "(paren) [x] {y} <z> a/b \\ ~ ` ^ ▁ ▁▁"
)
WORDS = SAMPLE.split(" ")
SPACES = (" ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000", "\u2003")


def texts(count=1000):
    generator = random.Random(0)
    found = ["", " ", "\n", "a", ".", "...", "'s", "▁", "A photo of a cat.", "word " * 500, "x" * 2000, "日" * 500]
    letters = [chr(code) for code in range(0x20, 0x3000) if unicodedata.category(chr(code))[0] in "LMNPSZ"]
    while len(found) < count:
        kind = generator.random()
        if kind < 0.5:
            some = (generator.choice(WORDS) for _ in range(generator.randint(1, 12)))
            text = "".join(word + generator.choice(SPACES) for word in some)
        elif kind < 0.9:
            text = "".join(generator.choice(letters) for _ in range(generator.randint(1, 60)))
        else:
            text = "".join(chr(generator.randrange(0x20, 0xD800)) for _ in range(generator.randint(1, 30)))
        found.append(text if generator.random() < 0.5 else text.strip())
    return found


@pytest.fixture(scope="module")
def byte_pairs(tmp_path_factory):
    """vocab.json and merges.txt in CLIP's form, of a few hundred merges."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

    trained = Tokenizer(models.BPE(end_of_word_suffix="</w>"))
    trained.normalizer = normalizers.Lowercase()
    trained.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\s+"), "removed"), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    trained.train_from_iterator(WORDS * 5, trainers.BpeTrainer(vocab_size=900, end_of_word_suffix="</w>"))
    merges = [" ".join(pair) for pair in json.loads(trained.to_str())["model"]["merges"]]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    names = [*letters, *(f"{letter}</w>" for letter in letters), *(merge.replace(" ", "") for merge in merges)]
    names = [*dict.fromkeys(names), "<|startoftext|>", "<|endoftext|>"]
    folder = tmp_path_factory.mktemp("byte_pairs")
    (folder / "vocab.json").write_text(json.dumps({name: index for index, name in enumerate(names)}), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n", encoding="utf-8")
    return folder


def test_clips_tokens_are_transformers(byte_pairs):
    given = [*texts(), "<|endoftext|>", "a <|startoftext|> b<|endoftext|>c", "A <|ENDOFTEXT|> b"]
    theirs = transformers.CLIPTokenizer.from_pretrained(byte_pairs)
    expected = theirs(given, truncation=True, max_length=CLIP.context)["input_ids"]
    tower = dataclasses.replace(CLIP, vocabulary=len(theirs))
    ours = tokenizer.load([byte_pairs / "vocab.json", byte_pairs / "merges.txt"], tower)
    assert rows(*tokenizer.encode(ours, CLIP, given)) == expected
    assert sum(len(ids) for ids in expected) > 30_000 and max(len(ids) for ids in expected) == CLIP.context
    # The same from the file that newer repositories hold, whatever it says of padding.
    theirs.backend_tokenizer.enable_padding(length=99)
    theirs.backend_tokenizer.save(str(byte_pairs / "tokenizer.json"))
    again = tokenizer.load([byte_pairs / "tokenizer.json"], tower)
    assert rows(*tokenizer.encode(again, CLIP, given)) == expected


def test_siglips_tokens_are_transformers(tmp_path):
    model, given = io.BytesIO(), texts()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*(" ".join(WORDS[index:] + WORDS[:index]) for index in range(len(WORDS)))]),
        model_writer=model, vocab_size=400, model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
        normalization_rule_name="nmt_nfkc", hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    (tmp_path / "spiece.model").write_bytes(model.getvalue())
    theirs = transformers.SiglipTokenizer(str(tmp_path / "spiece.model"))
    expected = theirs(given, padding="max_length", truncation=True, max_length=SIGLIP.context)["input_ids"]
    ours = tokenizer.load([tmp_path / "spiece.model"], dataclasses.replace(SIGLIP, vocabulary=len(theirs)))
    tokens, lengths = tokenizer.encode(ours, SIGLIP, given)
    assert tokens.tolist() == expected
    assert lengths.sum() > 9_000 and lengths.max() == SIGLIP.context and lengths.min() == 1


def rows(tokens, lengths):
    return [row[:length].tolist() for row, length in zip(tokens, lengths, strict=True)]
