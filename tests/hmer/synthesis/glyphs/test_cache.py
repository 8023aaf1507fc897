from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfile
from unittest.mock import Mock

import numpy as np
import pytest

import hmer
import hmer.synthesis.glyphs.cache as cached
from hmer.errors import HmerError
from hmer.synthesis.base import ISOLATED
from hmer.synthesis.glyphs.bank import FOREIGN, Cutting, GlyphBank
from hmer.synthesis.glyphs.cache import CODE, bank_of, bank_path, open_bank
from hmer.synthesis.glyphs.cutting import cut_bank, read_training_inks
from hmer.synthesis.glyphs.font import variants

ROOT = Path(hmer.__file__).parents[1]


@pytest.fixture
def train(small_dataset: Path, tmp_path: Path) -> Path:
    """A training split of one's own."""
    folder = tmp_path / "data" / "dataset"
    folder.mkdir(parents=True)
    copyfile(small_dataset / "train.parquet", folder / "train.parquet")
    return folder / "train.parquet"


def test_cut_once_and_kept_beside_the_data_set(
    train: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bank_of(train)
    assert [path.name for path in train.parent.iterdir()] == ["train.parquet"]
    assert bank_path(train) == train.parents[1] / ".glyphs" / "dataset-train.safetensors"
    assert (bank_path(train).parent / ".gitignore").read_text() == "*\n"
    plain = cut_bank(read_training_inks(train))
    monkeypatch.setattr(cached, "cut_bank", Mock(side_effect=AssertionError("cut again")))
    again = bank_of(train)
    for bank in (first, again):
        np.testing.assert_array_equal(bank.points, plain.points)
        assert bank.tokens == plain.tokens and bank.writers == plain.writers


def test_another_split_or_other_code_makes_it_stale(
    train: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def logged() -> bool:
        """Whether a bank was cut again, since it was asked the last time."""
        found = "cutting it again" in caplog.text
        caplog.clear()
        return found

    before = bank_of(train)
    assert not logged()
    monkeypatch.setattr(cached, "code_digest", lambda: "newer")
    assert len(bank_of(train)) == len(before) and logged()
    shorten(train)
    assert len(bank_of(train)) < len(before) and logged()
    bank_of(train)
    assert not logged()


def shorten(train: Path) -> None:
    from tests.samples import read_samples, write_samples

    samples = list(read_samples(train))
    write_samples(train, samples[: len(samples) // 2])


@pytest.mark.parametrize("spoil", ["cut short", "flipped", "nothing", "foreign"])
def test_a_damaged_bank_is_cut_again(
    spoil: str, train: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good, path = bank_of(train), bank_path(train)
    data = path.read_bytes()
    if spoil == "cut short":
        path.write_bytes(data[: len(data) // 2])
    elif spoil == "flipped":  # a point that has moved: nothing but the digest tells
        at = len(data) // 2
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    elif spoil == "nothing":
        path.write_bytes(b"")
    else:
        cut_bank(read_training_inks(train)).save(path)
    assert len(bank_of(train)) == len(good)
    assert "cutting it again" in caplog.text
    assert path.read_bytes() == data


def test_a_bank_that_cannot_be_kept_is_cut_all_the_same(
    train: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (train.parents[1] / ".glyphs").write_text("a file in the way")
    assert len(bank_of(train)) > 100
    assert "cut again next time" in caplog.text


def test_a_named_bank(train: Path, tmp_path: Path) -> None:
    kept = bank_of(train)
    for place in (bank_path(train), train, train.parent):
        assert len(open_bank(place)) == len(kept)
    with pytest.raises(HmerError, match="no such glyph bank"):
        open_bank(tmp_path / "missing")


def test_isolated_symbols_beside_the_split_join_the_bank(
    small_dataset: Path, tmp_path: Path
) -> None:
    train = tmp_path / "dataset" / "train.parquet"
    train.parent.mkdir()
    copyfile(small_dataset / "train.parquet", train)
    before = bank_of(train)
    isolated = GlyphBank.pack(
        [Cutting("Y", "unipen/ann", variants("Y")[0])], {"unipen/ann": f"{FOREIGN}unipen"}
    )
    isolated.save(train.parent / ISOLATED)
    assert bank_of(train).count().get("Y", 0) == before.count().get("Y", 0) + 1


def test_held_out_splits_have_no_bank(small_dataset: Path, tmp_path: Path) -> None:
    copyfile(small_dataset / "val.parquet", tmp_path / "val.parquet")
    with pytest.raises(HmerError, match="evaluation would be on training data"):
        bank_of(tmp_path / "val.parquet")
    assert not bank_path(tmp_path / "val.parquet").exists()
    with pytest.raises(HmerError, match="no such data set split"):
        bank_of(tmp_path / "train.parquet")


def test_the_key_covers_all_code_that_cuts() -> None:
    found: set[str] = set()
    waiting = ["hmer.synthesis.glyphs.cutting", "hmer.synthesis.glyphs.foreign"]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += imported(name)
    assert found - {"hmer.errors"} == set(CODE)


def imported(name: str) -> Iterator[str]:
    path = ROOT.joinpath(*name.split(".")).with_suffix(".py")
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hmer."):
            yield str(node.module)
