"""The command line, as it is installed: what goes to which stream, and how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from hmer.cli import main
from hmer.decoding.bidirectional import DecodingConfig
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.ink.render import render
from hmer.ink.scale import normalise
from hmer.ink.strokes import Ink
from hmer.recognizer import Recognizer

Run = Callable[..., tuple[int, list[str], list[str]]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Calls `hmer recognize` in this process: status, lines of output, lines of errors."""
    monkeypatch.delenv("HMER_MODEL", raising=False)

    def call(*arguments: object) -> tuple[int, list[str], list[str]]:
        monkeypatch.setattr(sys, "argv", ["hmer", "recognize", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        code = 0 if end.value.code is None else end.value.code
        assert isinstance(code, int)
        return code, said.out.splitlines(), said.err.splitlines()

    return call


@pytest.fixture
def files(tmp_path: Path, inks: tuple[Ink, ...]) -> tuple[Path, Path]:
    """A picture and an InkML file."""
    picture, ink = tmp_path / "a b.png", tmp_path / "c.inkml"
    Image.fromarray(255 - render(normalise(inks[0]), 30.0, 0.1, 0.5).image).save(picture)
    ink.write_bytes(write_inkml(InkDocument(inks[1], "x")))
    return picture, ink


def test_one_line_per_file(run: Run, model_folder: Path, files: tuple[Path, Path]) -> None:
    recognizer = Recognizer.load(model_folder)
    expected = [recognizer.recognize(file, DecodingConfig(beam=2)).latex for file in files]
    assert all(expected)
    named = [f"{file}: {latex}" for file, latex in zip(files, expected, strict=True)]
    assert run(*files, "--model", model_folder, "--beam", 2) == (0, named, [])
    assert run(files[1], "--model", model_folder, "--beam", 2) == (0, expected[1:], [])


def test_json(run: Run, files: tuple[Path, Path]) -> None:
    code, out, err = run(*files, "--json", "--beam", 2)
    assert (code, len(out), err) == (0, 2, [])
    recognizer = Recognizer.load()  # one that is sure of something
    for file, line in zip(files, out, strict=True):
        found = recognizer.recognize(file, DecodingConfig(beam=2))
        answer = json.loads(line)
        assert set(answer) == {
            *("file", "number", "page", "box"),
            *("latex", "compact", "confidence", "alternatives"),
        }
        assert (answer["file"], answer["latex"]) == (str(file), found.latex)
        assert answer["confidence"] == pytest.approx(found.confidence, abs=1e-4)
        assert found.confidence > 0.01
        assert [other["latex"] for other in answer["alternatives"]] == [
            " ".join(tokens) for tokens, _ in found.alternatives
        ]
        assert answer["alternatives"]


def test_a_missing_model_is_one_line(run: Run, files: tuple[Path, Path], tmp_path: Path) -> None:
    code, out, err = run(*files, "--model", tmp_path / "gone")
    assert (code, out) == (2, [])
    (line,) = err
    assert line.startswith(f"error: {tmp_path / 'gone'}: no model there")


def test_unreadable_files_are_told_and_the_others_read(
    run: Run, model_folder: Path, files: tuple[Path, Path], tmp_path: Path
) -> None:
    torn = tmp_path / "torn.png"
    torn.write_text("not a picture")
    gone = tmp_path / "gone.inkml"
    options = ("--model", model_folder, "--beam", 1)
    _, expected, _ = run(*files, *options)
    code, out, err = run(gone, files[0], torn, files[1], *options)
    unread = [f"{path}: not read" for path in (gone, torn)]
    assert (code, out) == (1, [unread[0], expected[0], unread[1], expected[1]])
    assert [line.split(": ")[:2] for line in err] == [["error", str(gone)], ["error", str(torn)]]


def test_the_model_may_be_named_by_the_environment(
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
    model_folder: Path,
    files: tuple[Path, Path],
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("HMER_MODEL", str(model_folder))
    assert run(files[0], "--beam", 1)[0] == 0
    code, _, err = run(files[0], "--model", tmp_path)
    assert code == 2 and str(tmp_path) in err[0]


def test_wrong_use(run: Run, model_folder: Path, files: tuple[Path, Path]) -> None:
    assert run("--model", model_folder)[0] == 2
    code, out, err = run(files[0], "--model", model_folder, "--beam", 0)
    assert (code, out) == (2, []) and any("beam" in line for line in err)


def test_closed_output_is_no_mistake_of_the_user(files: tuple[Path, Path]) -> None:
    code = "import sys; from hmer.cli import main; sys.argv[0] = 'hmer'; main()"
    command = ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, "-c", code, "recognize"]
    done = subprocess.run([*command, str(files[0])], stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_interruption_while_packages_load_is_quiet(
    files: tuple[Path, Path], tmp_path: Path
) -> None:
    (tmp_path / "onnxruntime.py").write_text(
        "try:\n    raise KeyboardInterrupt\nexcept KeyboardInterrupt as error:\n"
        "    raise ImportError('initialization failed') from error\n"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from hmer.cli import main\n"
        "sys.argv[0] = 'hmer'; main()"
    )
    command = [sys.executable, "-c", code, "recognize", str(files[0])]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "")


def test_help_needs_no_model_and_no_torch() -> None:
    code = (
        "import sys\nfrom hmer.cli import main\nsys.argv = ['hmer', 'recognize', '--help']\n"
        "try:\n    main()\nfinally:\n    sys.stderr.write(str('torch' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "False")
    assert "--json" in done.stdout and "InkML" in done.stdout


@pytest.mark.parametrize(("command", "extra"), [("serve", "serve"), ("export", "export")])
def test_the_help_names_the_extra_in_its_brackets(command: str, extra: str) -> None:
    """Brackets are markup to some help formatters, which swallow them."""
    found = subprocess.run(
        [sys.executable, "-c", "from hmer.cli import main; main()", command, "--help"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"hmer[{extra}]" in found.stdout
