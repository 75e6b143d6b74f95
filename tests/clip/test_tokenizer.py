"""Tokens from each kind of published file."""

import pytest
import tiny_towers

from model_maker.clip import tokenizer
from model_maker.errors import BackboneError

TOWER = tiny_towers.record()


@pytest.fixture
def folder(tmp_path):
    tiny_towers.write(tmp_path, TOWER)
    return tmp_path


def test_tokenizer_json_gives_the_same_whatever_it_says_of_length(folder):
    pairs = tokenizer.load([folder / "vocab.json", folder / "merges.txt"], TOWER)
    texts = ["a cat", "", "dog " * 20, "It's 2 CATS!"]
    tokens, lengths = tokenizer.encode(pairs, TOWER, texts)
    pairs.enable_truncation(3)
    pairs.enable_padding(length=50)
    pairs.save(str(folder / "tokenizer.json"))
    again, others = tokenizer.encode(tokenizer.load([folder / "tokenizer.json"], TOWER), TOWER, texts)
    assert (again.tolist(), others.tolist()) == (tokens.tolist(), lengths.tolist())
    # "a", "cat" and the marks; the marks alone; as many as fit; i t ' s 2 c a t s ! are more than fit.
    assert lengths.tolist() == [4, 2, tiny_towers.CONTEXT, tiny_towers.CONTEXT]


def test_spaces_and_case_change_nothing(folder):
    pairs = tokenizer.load([folder / "vocab.json", folder / "merges.txt"], TOWER)
    tokens, _ = tokenizer.encode(pairs, TOWER, ["a cat", "  A\t\nCat\u00a0"])
    assert tokens[0].tolist() == tokens[1].tolist()


@pytest.mark.parametrize("cut", [1, 5, 20, 60])
def test_a_cut_off_spiece_model_is_refused(tmp_path, cut):
    (tmp_path / "spiece.model").write_bytes(tiny_towers.spiece()[:-cut])
    # Where it ends between two pieces, only their number tells.
    with pytest.raises(BackboneError, match=r"spiece\.model (cannot be read as a|is not the) tokenizer"):
        tokenizer.load([tmp_path / "spiece.model"], tiny_towers.record("siglip"))


def test_a_web_page_is_no_tokenizer(tmp_path):
    for name in ("tokenizer.json", "spiece.model"):
        (tmp_path / name).write_text("<html>log in first</html>")
        with pytest.raises(BackboneError, match="cannot be read as a tokenizer"):
            tokenizer.load([tmp_path / name], TOWER)
