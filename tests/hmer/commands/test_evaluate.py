"""`hmer evaluate` as a person calls it."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from hmer.cli import main
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.ink.render import render
from hmer.ink.scale import normalise
from hmer.ink.strokes import Ink

pytestmark = pytest.mark.medium


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
    assert answer["reasons"].keys() == {"cut"}
    assert "cut short" in answer["reasons"]["cut"]
    assert answer["beam"] == 2
    assert {"exprate", "le1", "le2", "le3", "cer", "seconds", "exprate_canonical"} <= set(answer)
    assert answer["seconds"] > 0
    assert len(out.read_text(encoding="utf-8").splitlines()) == 5


def test_ink_as_pictures(run: Run, folder: Path, model_folder: Path) -> None:
    answers = {}
    for given in ("ink", "pictures"):
        code, said, _ = run(folder, "--model", model_folder, "--beam", 1, "--json", "--as", given)
        assert code == 0
        answers[given] = json.loads(said)
        assert answers[given]["as"] == given
        assert (answers[given]["n"], answers[given]["unreadable"]) == (4, ["cut"])


def test_captions_that_match_nothing_are_told(
    run: Run, folder: Path, model_folder: Path, tmp_path: Path
) -> None:
    (folder / "é.ink").write_bytes((folder / "e0.inkml").read_bytes())
    (folder / "cut.inkml").rename(folder / "ü\udcff.inkml")
    captions = tmp_path / "captions.txt"
    captions.write_text("e0.inkml\tx+1\nnobody\tx\n", encoding="utf-8")
    out = tmp_path / "readings.csv"
    code, said, errors = run(
        folder, "--model", model_folder, "--beam", 1, "--json", "--captions", captions, "--out", out
    )
    assert code == 0
    assert said.isascii()
    answer = json.loads(said)
    assert answer["unmatched_captions"] == ["nobody"]
    assert answer["unreadable"] == ["ü\\udcff"]
    assert "warning: --captions: 1 ids match no file: nobody" in errors
    assert out.is_file()


@pytest.mark.parametrize("given", ["ink", "pictures"])
def test_pictures_with_captions(
    run: Run, inks: tuple[Ink, ...], model_folder: Path, tmp_path: Path, given: str
) -> None:
    pictures = tmp_path / "pictures"
    (pictures / "sub").mkdir(parents=True)
    for name in ("a.png", "b.PNG", "sub/a.png", "nobody.png"):
        drawn = render(normalise(inks[0]), 30, pen=0.1, margin=0.5).image
        Image.fromarray(255 - drawn).save(pictures / name)
    (pictures / "cut.png").write_bytes(b"")
    captions = tmp_path / "captions.csv"
    captions.write_text("file,latex\na.png,x\nb,$y$\nsub/a.png,z\ncut.png,x\nlost.png,x\n")
    model = ("--model", model_folder, "--beam", 1, "--json", "--as", given)
    code, said, _ = run(pictures, *model, "--captions", captions)
    answer = json.loads(said)
    assert (code, answer["n"], answer["as"], answer["unlabelled"]) == (0, 4, "pictures", 1)
    assert answer["unreadable"] == ["cut"] and answer["unmatched_captions"] == ["lost.png"]
    code, said, errors = run(pictures, *model)
    assert (code, said) == (2, "") and "--captions for pictures" in errors


def test_captions_without_any_are_told(
    run: Run, folder: Path, model_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    code, said, errors = run(folder, "--model", model_folder, "--captions", tmp_path / "empty.txt")
    assert (code, said) == (2, "") and "empty.txt holds no captions" in errors


def test_captions_as_json(run: Run, folder: Path, model_folder: Path, tmp_path: Path) -> None:
    captions = tmp_path / "captions.json"
    captions.write_text('{\n"e0.inkml": "x+1",\n"nobody": "x"\n}', encoding="utf-8")
    code, said, _ = run(
        folder, "--model", model_folder, "--beam", 1, "--json", "--captions", captions
    )
    assert code == 0 and json.loads(said)["unmatched_captions"] == ["nobody"]


@pytest.mark.parametrize("out", ["none/readings.csv", "labelled"])
def test_an_output_that_cannot_be_written_is_told_before_the_work(
    run: Run, folder: Path, tmp_path: Path, out: str
) -> None:
    # The model is looked for later: there is none.
    code, said, errors = run(folder, "--model", tmp_path / "no-model", "--out", tmp_path / out)
    assert (code, said) == (2, "")
    assert errors.startswith("error: --out: ")


def test_a_table_in_a_terminal_of_few_signs(
    run: Run, folder: Path, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "cut.inkml").rename(folder / "切.inkml")
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stream)
    code, _, _ = run(folder, "--model", model_folder, "--beam", 1)
    stream.flush()
    assert code == 0
    assert b"unreadable: \\u5207" in stream.buffer.getvalue()


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
