"""`hmer recognize` as its users call it: several files, some of them bad, in any encoding."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from hmer.cli import main
from hmer.ink.inkml import InkDocument, read_inkml, write_inkml
from hmer.ink.strokes import Ink


def picture() -> bytes:
    image = np.full((80, 160), 255, np.uint8)
    image[20:60, 30:34] = image[38:42, 60:100] = image[20:60, 120:124] = 0
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def process(
    *words: str | bytes | Path, data: bytes = b"", encoding: str = "utf-8"
) -> subprocess.CompletedProcess[bytes]:
    """`hmer recognize` as a program."""
    return subprocess.run(
        [sys.executable, "-c", "from hmer.cli import main; main()", "recognize", *words],
        input=data,
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        check=False,
    )


def recognize(*words: str | Path, data: bytes = b"") -> tuple[int, str, str]:
    """The same in this process, a second faster: status, output, errors."""
    with (
        CliRunner().isolation(input=data) as (out, errors, *_),
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "argv", ["hmer", "recognize", "--beam", "1", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        code = 0 if end.value.code is None else end.value.code
        assert isinstance(code, int)
        sys.stdout.flush()
        sys.stderr.flush()
        return code, out.getvalue().decode(), errors.getvalue().decode()


@pytest.mark.medium
def test_every_file_has_its_line(tmp_path: Path) -> None:
    names = ["a.png", "\N{CJK UNIFIED IDEOGRAPH-6F22}.png", "notes.png", "gone.png"]
    for name in names[:2]:
        (tmp_path / name).write_bytes(picture())
    (tmp_path / "notes.png").write_text("not a picture")
    odd = os.fsencode(tmp_path) + b"/\xff.png"
    Path(os.fsdecode(odd)).write_bytes(picture())
    paths = [*(os.fsencode(tmp_path / name) for name in names), odd, b"-"]
    done = process("--beam", "1", "--json", *paths, data=picture(), encoding="cp1252")
    assert done.returncode == 1 and b"Traceback" not in done.stderr
    answers = [json.loads(line) for line in done.stdout.decode("ascii").splitlines()]
    assert [answer["file"] for answer in answers] == [os.fsdecode(path) for path in paths]
    assert ["error" in answer for answer in answers] == [False, False, True, True, False, False]
    assert "text" in answers[2]["error"]
    assert len({answers[i]["latex"] for i in (0, 1, 4, 5)}) == 1

    plain = process("--beam", "1", *paths[:5], encoding="cp1252")
    lines = plain.stdout.decode("cp1252").splitlines()
    assert len(lines) == 5 and lines[0].startswith(f"{tmp_path / 'a.png'}: ")
    assert lines[3].endswith(": not read") and plain.stderr.count(b"error: ") == 2


def lines(*words: str | Path, data: bytes = b"") -> list[str]:
    code, out, errors = recognize(*words, data=data)
    assert (code, errors) == (0, "")
    return out.splitlines()


@pytest.mark.medium
def test_formats(tmp_path: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(picture())
    (latex,) = lines(file)  # tokens where no terminal is
    assert " " in latex and lines(file, "--format", "latex") == [latex]
    (compact,) = lines(file, "--format", "compact")
    assert compact.replace(" ", "") == latex.replace(" ", "")
    assert lines(file, "--format", "markdown") == [f"${compact}$"]
    done = process("/dev/stdin", "--beam", "1", "--format", "mathml", data=picture())
    assert (done.returncode, done.stderr) == (0, b"") and done.stdout.startswith(b"<math ")
    ranked = [line.split("\t") for line in lines(file, "--n-best", "3", "--beam", "3")]
    assert len(ranked) == 3 and ranked[0][1] == latex
    assert all(0 <= float(confidence) <= 1 for confidence, _ in ranked)


def test_each_expression_of_a_page_has_its_line(tmp_path: Path) -> None:
    with Image.open(io.BytesIO(picture())) as one:
        page = Image.new("L", (160, 300), 255)
        page.paste(one, (0, 0))
        page.paste(one, (0, 200))
    page.save(tmp_path / "page.png")
    (latex,) = lines("-", data=picture())
    read = lines(tmp_path / "page.png")
    assert read == [f"{tmp_path / 'page.png'}#{number}: {latex}" for number in (1, 2)]
    first, second = map(json.loads, lines(tmp_path / "page.png", "--json"))
    assert (first["number"], second["number"], second["page"]) == (1, 2, 1)
    assert first["latex"] == second["latex"] == latex
    assert second["box"] == pytest.approx([30, 220, 124, 260], abs=8)


def test_pages_of_a_pdf(tmp_path: Path) -> None:
    pytest.importorskip("pypdfium2", reason="the extra pdf is not installed")
    with Image.open(io.BytesIO(picture())) as page:
        page.save(tmp_path / "a.pdf", save_all=True, append_images=[page], resolution=300)
    found = [json.loads(line) for line in lines(tmp_path / "a.pdf", "--json")]
    assert [one["page"] for one in found] == [1, 2] and found[0]["latex"] == found[1]["latex"]


def test_folders_and_patterns(tmp_path: Path) -> None:
    for name in ("b.png", "a.PNG", "inner/c.jpg", "notes.txt", "._b.png", "inner/.x/d.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_bytes(picture())
    found = [line.split(": ")[0] for line in lines(tmp_path)]
    assert found == [str(tmp_path / name) for name in ("a.PNG", "b.png", "inner/c.jpg")]
    assert len(lines(tmp_path / "*.png", "--json")) == 1
    assert len(lines(tmp_path / "**/*.jpg", "--json")) == 1
    (empty := tmp_path / "empty").mkdir()
    code, said, errors = recognize(empty, tmp_path / "b.png")
    assert code == 1 and "empty: a folder; name pictures" in errors
    assert said.splitlines()[0] == f"{empty}: not read" and len(said.splitlines()) == 2


def test_the_clipboard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs of another name would not be asked: these stand in for a desktop's."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "picture.png").write_bytes(picture())
    for name, act in (("wl-paste", f"cat {tmp_path}/picture.png"), ("wl-copy", "cat > copied")):
        (tmp_path / name).write_text(f"#!/bin/sh\ncd {tmp_path}\n{act}\n")
        (tmp_path / name).chmod(0o755)
    said = lines("--clipboard", "--copy")
    assert (tmp_path / "copied").read_text() == said[0]
    (tmp_path / "wl-paste").write_text("#!/bin/sh\nexit 1\n")
    code, _, errors = recognize("--clipboard")
    assert code == 2 and "no picture in the clipboard" in errors


def test_nothing_to_read() -> None:
    code, _, errors = recognize()
    assert code == 2 and errors.startswith("error: nothing to read")
    code, _, errors = recognize("")
    assert code == 2 and errors.startswith("error: one of the names is empty")


def test_standard_input_may_be_closed() -> None:
    program = "import sys; sys.stdin = None; from hmer.cli import main; main()"
    command = [sys.executable, "-c", program, "recognize", "-"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(b"error: -: standard input is closed")


def plus(path: Path) -> Path:
    """`1 + 2`, four strokes."""
    strokes = [
        [(10, 30), (40, 0), (40, 150)],
        [(100, 80), (190, 80)],
        [(145, 35), (145, 125)],
        [(240, 30), (270, 0), (310, 5), (320, 45), (240, 150), (330, 145)],
    ]
    ink = Ink(tuple(np.array(stroke, np.float32) for stroke in strokes))
    path.write_bytes(write_inkml(InkDocument(ink, "")))
    return path


def test_ink_is_written_back_with_its_symbols(tmp_path: Path) -> None:
    file = plus(tmp_path / "a.inkml")
    (latex,) = lines(file)
    assert latex == "1 + 2"
    graph = lines(file, "--format", "lg")
    assert graph[1:4] == ["O, 1_1, 1, 1.0, 0", "O, +_1, +, 1.0, 1, 2", "O, 2_1, 2, 1.0, 3"]
    assert graph[5:] == ["R, 1_1, +_1, Right, 1.0", "R, +_1, 2_1, Right, 1.0"]
    back = read_inkml("\n".join(lines(file, "--format", "inkml")).encode(), "back")
    assert [(s.token, s.strokes) for s in back.ink.symbols] == [
        ("1", (0,)), ("+", (1, 2)), ("2", (3,)),
    ]  # fmt: skip

    other, out = plus(tmp_path / "b.inkml"), tmp_path / "out"
    code, _, errors = recognize("--format", "lg", file, other)
    assert code == 2 and "--out" in errors
    assert lines("--format", "lg", "--out", out, file, other) == []
    assert (out / "a.lg").read_text() == (out / "b.lg").read_text() == "\n".join(graph) + "\n"

    image = tmp_path / "c.png"
    image.write_bytes(picture())
    code, said, errors = recognize("--format", "lg", image)
    assert (code, said) == (1, "") and "c.png: has no strokes" in errors


def test_only_some_symbols_are_written(tmp_path: Path) -> None:
    file, names = plus(tmp_path / "a.inkml"), tmp_path / "names"
    names.write_text("1\n-\n", encoding="utf-8-sig")
    for given in ("1 -", str(names)):
        (latex,) = lines(file, "--symbols", given)
        assert latex and {*latex.split()} <= {"1", "-"}
    assert "symbols: there are none" in recognize(file, "--symbols", "")[2]
    blank = tmp_path / "blank.png"
    Image.new("L", (9, 9), 255).save(blank)
    code, said, errors = recognize(file, blank, "--symbols", "^")
    assert (code, said) == (1, f"{file}: not read\n{blank}: \n")
    assert errors == f"error: {file}: the --symbols cannot write what is there; name more\n"
    code, _, errors = recognize(file, "--symbols", "1 sausage")
    assert code == 2 and "not know: sausage" in errors


def test_where_nothing_can_be_written_is_told_before_the_reading(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for words in (
        ("--attention", tmp_path),
        ("--attention", tmp_path / "none/a.png"),
        ("--format", "lg", "--out", tmp_path / "file"),
    ):
        code, said, errors = recognize(plus(tmp_path / "a.inkml"), *words, "--model", "none")
        assert (code, said) == (2, "") and errors.startswith(f"error: {words[-2]}: {tmp_path}")


def test_attention_is_a_picture(tmp_path: Path) -> None:
    out = tmp_path / "out.png"
    lines(plus(tmp_path / "a.inkml"), "--attention", out)
    with Image.open(out) as sheet:
        tints = np.asarray(sheet.convert("RGB"), np.int64)
    assert (tints[..., 0] - tints[..., 2]).max() > 150  # orange somewhere
