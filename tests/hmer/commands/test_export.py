"""`hmer export` as a person calls it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from hmer.cli import main
from hmer.ink.canvas import on_canvas
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.ink.strokes import Ink
from hmer.recognizer import Recognizer

pytestmark = pytest.mark.medium


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Calls `hmer` in this process: status, output, errors."""

    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["hmer", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capfd.readouterr()
        code = 0 if end.value.code is None else end.value.code
        assert isinstance(code, int)
        return code, said.out, said.err

    return call


def test_int8_is_exported_and_read_with(
    run: Run, model_folder: Path, tmp_path: Path, inks: tuple[Ink, ...]
) -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(name, reason="the extra 'export' is not installed")
    out = tmp_path / "small"
    code, said, errors = run("export", "--model", model_folder, "--out", out, "--int8")
    assert (code, errors) == (0, "")
    assert said.startswith(f"{out}: encoder.onnx 0.") and len(said.splitlines()) == 1
    assert json.loads((out / "model.json").read_text(encoding="utf-8"))["int8"] is True

    file = tmp_path / "a.inkml"
    file.write_bytes(write_inkml(InkDocument(inks[0], "x")))
    code, said, errors = run("recognize", file, "--model", out, "--beam", 2, "--json")
    assert (code, errors) == (0, "")
    answer = json.loads(said)
    small, full = Recognizer.load(out), Recognizer.load(model_folder)
    assert answer["latex"] and all(t in small.vocabulary for t in answer["latex"].split())
    assert len(answer["alternatives"]) >= 1

    # Its opinions are those of the full weights, but for the rounding.
    image = on_canvas([full.prepare(inks[0])], 160, 320)
    tokens = np.array([[full.vocabulary.sos, full.vocabulary.eos]])
    mine, theirs = (one.reader.encode(image)(tokens, None)[0].ravel() for one in (small, full))
    assert np.corrcoef(mine, theirs)[0, 1] > 0.99
    assert np.abs(mine - theirs).max() > 1e-4


def test_mistakes_are_one_line(
    run: Run, model_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    code, said, errors = run("export", "--model", model_folder, "--out", out)
    assert (code, said) == (2, "")
    assert errors == "error: onnxscript is missing: pip install 'hmer[export]'\n"
    code, said, errors = run("export", "--model", tmp_path / "gone", "--out", out)
    assert (code, said) == (2, "") and "no model there" in errors
    assert not out.exists()
