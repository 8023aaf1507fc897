"""`hmer evaluate` as a person calls it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hmer.cli import main
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.ink.strokes import Ink

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls `hmer evaluate` in this process: status, output, errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hmer", "evaluate", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        code = 0 if end.value.code is None else end.value.code
        assert isinstance(code, int)
        return code, said.out, said.err

    return call


@pytest.fixture
def folder(tmp_path: Path, inks: tuple[Ink, ...]) -> Path:
    place = tmp_path / "labelled"
    place.mkdir()
    for number, ink in enumerate(inks[:3]):
        (place / f"e{number}.inkml").write_bytes(write_inkml(InkDocument(ink, "x + 1")))
    (place / "cut.inkml").write_bytes(b"<ink><trace>")
    return place


def test_one_json_object(run: Run, folder: Path, model_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "readings.csv"
    code, said, _ = run(folder, "--model", model_folder, "--beam", 2, "--json", "--out", out)
    assert code == 0
    (line,) = said.splitlines()
    answer = json.loads(line)
    assert answer["n"] == 4
    assert answer["unreadable"] == ["cut"]
    assert answer["beam"] == 2
    assert {"exprate", "le1", "le2", "le3", "cer", "seconds", "exprate_canonical"} <= set(answer)
    assert answer["seconds"] > 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == 5


def test_a_table(run: Run, folder: Path, model_folder: Path) -> None:
    code, said, _ = run(folder, "--model", model_folder, "--beam", 1)
    assert code == 0
    assert "ExpRate" in said
    assert "unreadable: cut" in said


def test_mistakes_are_one_line(run: Run, tmp_path: Path, model_folder: Path) -> None:
    code, said, errors = run(tmp_path / "none", "--model", model_folder)
    assert (code, said) == (2, "")
    assert errors.startswith("error: ")
    assert len(errors.splitlines()) == 1
