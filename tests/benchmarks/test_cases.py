"""The table of real-world inputs: every input has a row, and a wrong answer is called so."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.cases import main
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.synthesis.render_latex import write_latex

pytestmark = pytest.mark.medium


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    ink = write_latex(r"\sqrt { 2 }", 3, None, True).ink
    good = write_inkml(InkDocument(ink, r"\sqrt{2}", writer="w"))
    blank = io.BytesIO()
    Image.new("L", (60, 40), 255).save(blank, "PNG")
    files = {
        "01-ink/expect.txt": rb"reads \sqrt { 2 }: whatever its name",
        "01-ink/a.bin": good,
        "01-ink/cut.inkml": good[:300],
        "02-wrong/expect.txt": b"reads x + 1: no",
        "02-wrong/a.inkml": good,
        "03-blank/expect.txt": b"no tokens",
        "03-blank/a.png": blank.getvalue(),
        "04-scored/expect.txt": b"hmer evaluate scores it",
        "04-scored/set/a.inkml": good,
        "fuzz/inkml-1.bin": good,
        "fuzz/picture-1.bin": b"\x89PNG",
        "fuzz/params-1.bin": b"seed: 2020-13-45",
        "fuzz/model-1.bin": b"[[[[",
        "fuzz/archive-1.bin": b"a" * 100,
    }
    for name, data in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "05-package").mkdir()
    (tmp_path / "05-package/expect.txt").write_bytes(rb"reads \sqrt { 2 }")
    with tarfile.open(tmp_path / "05-package/inputs.tar.gz", "w:gz") as package:
        about = tarfile.TarInfo("name with α.inkml")
        about.size = len(good)
        package.addfile(about, io.BytesIO(good))
    return tmp_path


def test_every_input_has_a_verdict(cases: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(cases) == 1, "one reading is wrong"
    lines = capsys.readouterr().out.splitlines()
    found = {(case, name): rest for case, name, *rest in (line.split(" | ") for line in lines[:-1])}
    assert lines[-1] == "1 WRONG, 5 one line, 2 read, 3 right"
    assert found["01-ink", "a.bin"][1] == found["05-package", "name with α.inkml"][1] == "right"
    assert found["02-wrong", "a.inkml"] == [r"\sqrt { 2 }", "WRONG"]
    assert found["01-ink", "cut.inkml"][1] == "one line"
    assert found["03-blank", "a.png"] == ["", "right"]
    assert '"exprate": 100.0' in found["04-scored", "set/"][0]
    assert {name: rest[1] for (case, name), rest in found.items() if case == "fuzz"} == {
        "inkml-1.bin": "read",
        **dict.fromkeys(
            ("picture-1.bin", "params-1.bin", "model-1.bin", "archive-1.bin"), "one line"
        ),
    }
    for folder in ("02-wrong", "04-scored", "05-package", "fuzz"):
        shutil.rmtree(cases / folder)
    assert main(cases) == 0
