"""`hmer compare` as a person calls it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hmer.cli import app, main
from hmer.errors import HmerError
from hmer.evaluation.prediction import TRIALS, Prediction, Trial, write_predictions, write_trials


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, str]:
    for name, reading in (("old", "y"), ("new", "x")):
        folder = tmp_path / name / "val"
        folder.mkdir(parents=True)
        rows = [Prediction(str(i), ["x"], [reading] if i else ["x"], 0.5) for i in range(4)]
        write_predictions(folder / "predictions.parquet", rows)
        trials = [
            Trial("occlusion", level, level, str(i), ["x"], [reading])
            for level in (0.0, 0.1)
            for i in range(4)
        ]
        write_trials(folder / TRIALS, trials)
    return str(tmp_path / "old"), str(tmp_path / "new")


def test_a_table(folders: tuple[str, str]) -> None:
    said = CliRunner().invoke(app, ["compare", *folders]).output
    assert "val: ExpRate and CER, percent" in said
    assert "occlusion 10%" in said and "+75.0" in said and "\N{MINUS SIGN}75.0" in said
    assert "100 (100 to 100)" in said and "…" not in said
    assert "Only the new one has 3 right, only the old one 0." in said
    assert "not the same in both" not in said


def test_one_json_object_and_a_file(folders: tuple[str, str], tmp_path: Path) -> None:
    out = tmp_path / "changed.csv"
    called = CliRunner().invoke(app, ["compare", *folders, "--json", "--out", str(out)])
    ((found,),) = [json.loads(line) for line in called.output.splitlines()]
    assert (found["set"], found["won"], found["lost"], found["left_out"]) == ("val", 3, 0, 0)
    plain, _, hidden = found["conditions"]
    assert (plain["series"], plain["exprate_old"], plain["exprate_new"]) == ("plain", 25.0, 100.0)
    assert hidden["level"] == 0.1 and hidden["same_pictures"] is True
    assert len(out.read_text(encoding="utf-8").splitlines()) == 4


def test_a_file_that_cannot_be_written_is_one_line(
    folders: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "none" / "changed.csv"
    monkeypatch.setattr("sys.argv", ["hmer", "compare", *folders, "--out", str(out)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert capsys.readouterr().err == f"error: --out: {out.parent} is no folder; create it first\n"


def test_refuses_in_one_line(folders: tuple[str, str], tmp_path: Path) -> None:
    called = CliRunner().invoke(app, ["compare", folders[0], str(tmp_path / "none")])
    assert isinstance(called.exception, HmerError)
    assert "no such folder" in str(called.exception)
