"""Two evaluations side by side, from their files."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hmer.errors import HmerError
from hmer.evaluation.comparison import HEADER, compare_evaluations, write_changed
from hmer.evaluation.prediction import Prediction
from hmer.evaluation.robustness.trials import TRIALS, Trial, write_trials
from hmer.evaluation.tables import write_predictions

TRUTHS = {"a": "x + y", "b": "x", "c": "y", "d": "2"}


def write(folder: Path, hidden: str = "", **read: str | None) -> Path:
    """A set as the stage writes it; all expressions in `hidden` are read right without ink."""
    folder.mkdir(parents=True)
    rows = [
        Prediction(id, TRUTHS[id].split(), None if text is None else text.split(), 0.5)
        for id, text in read.items()
    ]
    write_predictions(folder / "predictions.parquet", rows)
    truths = {id: TRUTHS[id].split() for id in "abc"}
    trials = [
        Trial("occlusion", 0.3, 0.3, id, truth, truth if id in hidden else [])
        for id, truth in truths.items()
    ]
    if hidden:
        write_trials(folder / TRIALS, trials)
    return folder


@pytest.fixture
def old(tmp_path: Path) -> Path:
    write(tmp_path / "old" / "val", hidden="a", a="x + y", b="y", c=None)
    write(tmp_path / "old" / "test", a="x", b="x", d="2")
    return tmp_path / "old"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    write(tmp_path / "new" / "val", hidden="ab", a="x - y", b="x", c="y")
    write(tmp_path / "new" / "test", a="x", b="x", c="y")
    write(tmp_path / "new" / "other", a="x")
    return tmp_path / "new"


def test_by_hand(old: Path, new: Path) -> None:
    test, val = compare_evaluations(old, new)
    assert (test.name, val.name) == ("test", "val")
    assert (val.won, val.lost, val.alone) == (2, 1, 0)
    assert (test.won, test.lost, test.alone) == (0, 0, 2)
    plain, hidden = val.differences
    assert plain.rates == pytest.approx((200 / 3, 100 / 3))
    assert plain.exprate.mean == pytest.approx(100 / 3)
    assert (hidden.series, hidden.level, hidden.n) == ("occlusion", 0.3, 3)
    assert hidden.exprate.mean == pytest.approx(100 / 3)
    assert test.differences[0].n == 2


def test_single_sets_may_have_any_name(old: Path, new: Path) -> None:
    (found,) = compare_evaluations(old / "val", new / "test")
    assert found.name == "test" and found.differences[0].n == 3
    (found,) = compare_evaluations(old / "val", new)
    assert found.name == "val" and found.won == 2


def test_what_changed_as_a_table(old: Path, new: Path, tmp_path: Path) -> None:
    write_changed(tmp_path / "changed.csv", compare_evaluations(old, new))
    with (tmp_path / "changed.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = list(csv.reader(file))
    assert tuple(header) == HEADER
    assert rows == [
        ["val", "a", "old", "x + y", "x + y", "0", "x - y", "1"],
        ["val", "b", "new", "x", "y", "1", "x", "0"],
        ["val", "c", "new", "y", "", "1", "y", "0"],
    ]


def test_refuses(old: Path, new: Path, tmp_path: Path) -> None:
    with pytest.raises(HmerError, match=r"nothing: no such folder; name a folder that"):
        compare_evaluations(tmp_path / "nothing", new)
    (tmp_path / "empty").mkdir()
    with pytest.raises(HmerError, match="empty: no evaluation there"):
        compare_evaluations(old, tmp_path / "empty")
    write(tmp_path / "third" / "more", d="2")
    with pytest.raises(HmerError, match=r"no set in common \(test, val; more\)"):
        compare_evaluations(old, tmp_path / "third")
    with pytest.raises(HmerError, match=r"val and .*more: the two runs have read no expression"):
        compare_evaluations(old / "val", tmp_path / "third" / "more")
    (new / "val" / "predictions.parquet").write_bytes(b"PAR1")
    with pytest.raises(HmerError, match=r"predictions\.parquet: not the readings"):
        compare_evaluations(old, new)
