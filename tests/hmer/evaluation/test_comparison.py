"""Two evaluations compared by expression."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hmer.errors import HmerError
from hmer.evaluation.comparison import HEADER, compare, compare_evaluations, write_changed
from hmer.evaluation.prediction import TRIALS, Prediction, Trial, write_predictions, write_trials

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


ROWS = {"a": ["1", "+"], "b": ["2"], "c": ["3"], "d": ["4"]}


def run(series: str, level: float, **read: str) -> list[Trial]:
    return [Trial(series, level, level, id, ROWS[id], list(text)) for id, text in read.items()]


MINE = run("plain", 0, a="1+", b="2", c="3", d="x") + run("s", 0, a="1+", b="2", c="x")
MINE += run("s", 0.3, a="1+", b="x", c="x")
OTHER = run("plain", 0, d="4", c="x", b="x", a="11") + run("s", 0, c="3", a="1+", b="2")
OTHER += run("s", 0.3, a="1-", b="x", c="x") + run("t", 1, a="1+")


def test_conditions_by_hand() -> None:
    plain, whole, hidden = compare(OTHER, MINE, resamples=200).differences
    assert [(d.series, d.level, d.n) for d in (plain, whole, hidden)] == [
        ("plain", 0, 4),
        ("s", 0, 3),
        ("s", 0.3, 3),
    ]
    # Right: mine a b c, theirs d. Edits: mine 0 0 0 1, theirs 1 1 1 0, of 5 characters.
    assert plain.exprate.mean == pytest.approx(50.0)
    assert plain.rates == pytest.approx((75.0, 25.0))
    assert hidden.rates == pytest.approx((100 / 3, 0.0))
    assert plain.cer.mean == pytest.approx(-40.0)
    assert plain.exprate.low <= 50.0 <= plain.exprate.high
    assert whole.exprate.mean == pytest.approx(-100 / 3)
    # At 0.3 mine has a, theirs none.
    assert hidden.exprate.mean == pytest.approx(100 / 3)


def test_the_other_way_round() -> None:
    ahead = {(d.series, d.level): d for d in compare(OTHER, MINE, resamples=50).differences}
    behind = {(d.series, d.level): d for d in compare(MINE, OTHER, resamples=50).differences}
    assert ahead.keys() == behind.keys()
    for key, difference in ahead.items():
        assert behind[key].exprate.mean == pytest.approx(-difference.exprate.mean)
        assert behind[key].cer.mean == pytest.approx(-difference.cer.mean)


def test_the_same_run_differs_by_nothing() -> None:
    for difference in compare(MINE, MINE, resamples=50).differences:
        assert difference.exprate == (0.0, 0.0, 0.0) and difference.cer == (0.0, 0.0, 0.0)


def test_other_pictures_are_noticed() -> None:
    moved = [Trial(t.series, t.level, t.share * 1.01, t.id, t.truth, t.tokens) for t in OTHER]
    assert [d.alike for d in compare(OTHER, MINE, resamples=50).differences] == [True] * 3
    assert [d.alike for d in compare(moved, MINE, resamples=50).differences] == [True, True, False]


def test_refuses_runs() -> None:
    with pytest.raises(HmerError, match="no expression under the same condition"):
        compare(MINE, run("t", 1, a="1+"))
    spelt = [Trial("s", 0.0, 0.0, "a", ["1", "-"], ["1"])]
    with pytest.raises(HmerError, match="a: the two runs have different truths"):
        compare(spelt, MINE)


def hidden(right: dict[str, str], levels: tuple[float, ...] = (0.1, 0.2)) -> list[Trial]:
    """Readings of hidden ink: by id, a digit 1 for each level that was read right."""
    return [
        Trial("occlusion", level, level, id, ["x"], ["x"] if one == "1" else [])
        for id, found in right.items()
        for level, one in zip(levels, found, strict=True)
    ]


def test_the_gain_where_ink_is_hidden_is_a_mean_over_levels() -> None:
    gained, lost, same = range(10), range(10, 40), range(40, 100)
    new = {str(n): "10" for n in gained} | {str(n): "00" for n in (*lost, *same)}
    old = {str(n): "00" for n in (*gained, *same)} | {str(n): "11" for n in lost}
    found = compare(hidden(old), hidden(new)).hidden
    # Ten expressions gain a level of two, thirty lose both: (10 / 2 - 30) / 100.
    assert found is not None and found.mean == pytest.approx(-25.0)
    assert -36 < found.low < -25 < found.high < -14
    assert compare(hidden(new), hidden(new)).hidden == (0.0, 0.0, 0.0)


def test_levels_of_an_expression_are_no_independent_draws() -> None:
    """The interval of few expressions with many levels is as wide as of few expressions."""
    new = dict.fromkeys("abcde", "11")
    found = compare(hidden(new | {"a": "00", "c": "00"}), hidden(new)).hidden
    assert found is not None and found.mean == pytest.approx(40.0)
    assert found.high - found.low == pytest.approx(80.0)


def test_other_levels_have_no_common_gain() -> None:
    new = hidden({"a": "11"})
    assert compare(new, new[:1]).hidden is None
    assert compare(MINE, OTHER, resamples=50).hidden is None
    assert compare(new, new).whole is None


def test_the_level_of_confidence() -> None:
    narrow, wide = (compare(OTHER, MINE, level=level).whole for level in (0.6, 0.99))
    assert narrow is not None and wide is not None
    assert wide.exprate.low < narrow.exprate.low <= narrow.exprate.high <= wide.exprate.high
