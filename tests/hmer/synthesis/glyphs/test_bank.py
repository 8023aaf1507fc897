import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hmer.errors import HmerError
from hmer.synthesis.glyphs.bank import RESOLUTION, Cutting, GlyphBank


def glyph(value: float, strokes: int = 1) -> tuple[np.ndarray, ...]:
    return tuple(np.array([(0.0, -value), (value, float(n))]) for n in range(strokes))


CUTTINGS = [
    Cutting("a", "ann", glyph(0.5)),
    Cutting("a", "ann", glyph(0.6)),
    Cutting("a", "bob", glyph(0.7)),
    Cutting("b", "cid", glyph(1.0, 2)),
    Cutting("b", "ann", glyph(1.1, 3)),
]
GROUPS = {"ann": "one", "bob": "one", "cid": "two"}


@pytest.fixture
def bank() -> GlyphBank:
    return GlyphBank.pack(CUTTINGS, GROUPS)


def height(found: tuple[np.ndarray, ...]) -> float:
    return round(-float(np.concatenate(found)[:, 1].min()), 2)


def test_samples_come_back_as_they_were_packed(bank: GlyphBank) -> None:
    assert len(bank) == 5 and bank.count() == {"a": 3, "b": 2}
    for number, cutting in enumerate(CUTTINGS):
        for ours, theirs in zip(bank.glyph(number), cutting.glyph, strict=True):
            assert np.allclose(ours, theirs, atol=0.5 / RESOLUTION)


def test_a_hands_own_samples_come_first_then_its_collections(bank: GlyphBank) -> None:
    rng = np.random.default_rng(0)
    own = {height(bank.sample("a", rng, "ann")) for _ in range(60)}
    assert own == {0.5, 0.6}
    assert {height(bank.sample("b", rng, "bob")) for _ in range(60)} == {1.1}
    assert {height(bank.sample("a", rng, "cid")) for _ in range(60)} == {0.5, 0.6, 0.7}
    anyone = Counter(height(bank.sample("a", rng)) for _ in range(600))
    assert min(anyone.values()) > 120


def test_loyalty_is_a_probability(bank: GlyphBank) -> None:
    rng = np.random.default_rng(1)
    foreign = sum(height(bank.sample("a", rng, "ann", 0.4)) == 0.7 for _ in range(900))
    assert foreign == pytest.approx(900 * 0.6 / 3, rel=0.3)


def test_missing_classes(bank: GlyphBank) -> None:
    assert "a" in bank and "z" not in bank
    with pytest.raises(KeyError):
        bank.sample("z", np.random.default_rng(0))


def test_an_empty_bank_is_refused() -> None:
    with pytest.raises(HmerError, match="empty"):
        GlyphBank.pack([], {})


def test_a_saved_bank_is_the_same_and_byte_for_byte(bank: GlyphBank, tmp_path: Path) -> None:
    one, two = tmp_path / "one.safetensors", tmp_path / "deeper" / "two.safetensors"
    bank.save(one)
    loaded = GlyphBank.load(one)
    loaded.save(two)
    assert one.read_bytes() == two.read_bytes()
    assert loaded.tokens == bank.tokens and loaded.groups == bank.groups
    assert np.array_equal(loaded.glyph(4)[2], bank.glyph(4)[2])


def test_a_bank_is_picklable_without_its_tables(bank: GlyphBank) -> None:
    size = len(pickle.dumps(bank))
    bank.sample("a", np.random.default_rng(0))
    assert len(pickle.dumps(bank)) == size
    again = pickle.loads(pickle.dumps(bank))
    one, two = (b.sample("a", np.random.default_rng(3), "bob") for b in (bank, again))
    assert all(np.array_equal(x, y) for x, y in zip(one, two, strict=True))


@pytest.mark.parametrize("content", [b"", b"not a bank", b"\x10" + 64 * b"\0"])
def test_damaged_files_are_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bank.safetensors"
    path.write_bytes(content)
    with pytest.raises(HmerError, match=r"bank\.safetensors: not a glyph bank"):
        GlyphBank.load(path)
    with pytest.raises(HmerError, match="no such glyph bank"):
        GlyphBank.load(tmp_path / "missing")


def test_a_bank_that_cannot_be_written_leaves_nothing(bank: GlyphBank, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HmerError, match="cannot be written"):
        bank.save(tmp_path / "file" / "bank")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
