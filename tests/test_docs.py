"""The pages say what is there: links, commands, parameters, the example of a source."""

from __future__ import annotations

import importlib.util
import io
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from hmer.ingest.ingest import IngestConfig, ingest_source
from hmer.ink.images import encode_png
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.ink.render import render
from hmer.ink.strokes import Ink
from hmer.synthesis.render_latex import write_latex

ROOT = Path(__file__).parents[1]
PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
)
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)")


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


# Links and the tree


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / link).exists(), link


def tree() -> list[str]:
    """Paths of the annotated tree."""
    (block,) = re.findall(
        r"## Where things are\n\n```\n(.*?)```", text("docs/architecture.md"), re.DOTALL
    )
    paths, folder = [], ""
    for line in block.splitlines():
        path = line.split()[0]
        if not line.startswith(" "):
            folder = path if path.endswith("/") else ""
        paths.append(path if not line.startswith(" ") else folder + path)
    return paths


def test_the_tree_names_what_is_there_and_every_part_of_the_library() -> None:
    named = set(tree())
    assert not [path for path in named if not (ROOT / path).exists()]
    parts = {f"hmer/{p.name}/" for p in (ROOT / "hmer").iterdir() if (p / "__init__.py").exists()}
    assert parts <= named


# Parameters


@pytest.mark.medium
def test_the_configuration_reference_is_current() -> None:
    from pipeline.reference import PAGE, reference

    assert text(PAGE) == reference(), "run `python -m pipeline.reference`"


# Commands


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command of a shell block, split into words, with its page."""
    for page in PAGES:
        for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            for line in block.replace("\\\n", " ").splitlines():
                words: list[str] = []
                for word in [*shlex.split(line, comments=True), ";"]:
                    if word.endswith(";"):
                        words += [word[:-1]] if word != ";" else []
                        if words:
                            yield name(page), words
                        words = []
                    else:
                        words.append(word)


def dispatched(words: list[str]) -> tuple[str, list[str]]:
    """The program and its arguments, without what stands before them."""
    while "=" in words[0] and not words[0].startswith(("-", "/")):
        words = words[1:]
    program = words[0].rpartition("/")[2]
    if program == "python" and words[1] == "-m":
        return words[2], words[3:]
    return program, words[1:]


def parsed(app: typer.Typer, arguments: list[str]) -> None:
    """Have a command line of ours take its arguments, without doing anything."""
    group: Any = typer.main.get_command(app)
    command = group.commands[arguments[0]]
    command.make_context(arguments[0], list(arguments[1:]))


def check(program: str, arguments: list[str]) -> None:
    """Fail unless the program would take the arguments."""
    if program == "hmer":
        from hmer.cli import app

        parsed(app, arguments)
    elif program == "pipeline":
        from pipeline.cli import app as ours

        parsed(ours, arguments)
    elif program == "make":
        targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
        assert {word for word in arguments if "=" not in word} <= targets
        for variable in (word.partition("=")[0] for word in arguments if "=" in word):
            assert f"$({variable})" in text("Makefile"), variable
    elif program == "dvc":
        from dvc.cli.parser import get_main_parser

        get_main_parser().parse_args(arguments)
    elif program in {"mlflow", "prefect"}:
        command = list(takewhile(lambda word: not word.startswith("-"), arguments))
        told = io.StringIO()
        with (
            redirect_stdout(told),
            pytest.MonkeyPatch.context() as patch,
            pytest.raises(SystemExit) as end,
        ):
            patch.setattr(sys, "argv", [program, *command, "--help"])
            runpy.run_module(program, run_name="__main__")
        assert not end.value.code
        for option in (word for word in arguments if word.startswith("--")):
            assert option in told.getvalue(), option
    elif program == "pytest":
        assert all((ROOT / word).exists() for word in arguments if not word.startswith("-"))
    elif program.startswith(("benchmarks", "pipeline.")):
        assert importlib.util.find_spec(program) is not None
    else:
        assert program in {"curl", "export", "git", "pip", "pre-commit", "source"}, program


COMMANDS = list({(page, *words): (page, words) for page, words in commands()}.values())
SERVERS = ("mlflow", "prefect", "dvc")


@pytest.mark.parametrize(
    ("page", "words"),
    [
        pytest.param(
            page, words, id=f"{page}: {' '.join(words)}",
            marks=[pytest.mark.medium] if dispatched(words)[0] in SERVERS else [],
        )
        for page, words in COMMANDS
    ],
)  # fmt: skip
def test_every_command_is_one_that_its_program_takes(page: str, words: list[str]) -> None:
    check(*dispatched(words))


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the pages' commands name."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "homework").mkdir()
    (folder / "FOLDER_OR_PACKAGE").mkdir()
    ink = write_latex("a + b", 3, None, True).ink
    picture = encode_png(255 - render(ink, 30).image)
    for path in ("picture.png", "page.jpg", "homework/1.png", "homework/2.png"):
        (folder / path).write_bytes(picture)
    (folder / "captions.csv").write_text("file,latex\n1.png,a + b\n2.png,a + b\n")
    for path in ("formula.inkml", "FOLDER_OR_PACKAGE/1.inkml"):
        (folder / path).write_bytes(write_inkml(InkDocument(ink, "a + b")))
    return folder


RUN = ("recognize", "evaluate", "models")
"""Commands of `hmer` that the pages show and that take seconds."""


@pytest.mark.medium
@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, id=" ".join(words))
        for page, words in COMMANDS
        if words[0] == "hmer" and (words[1] in RUN or "\\frac{a}{b}" in words)
        if not {"--clipboard", "--model", "--copy"} & set(words)
    ],
)  # fmt: skip
def test_reading_commands_run(
    words: list[str], desk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hmer.cli import app

    monkeypatch.chdir(desk)
    done = CliRunner().invoke(app, words[1:])
    assert done.exit_code == 0, done.output
    if words[1] == "recognize" and "lg" not in words:
        assert done.output.count("a") >= (2 if "homework/" in words else 1)


@pytest.mark.slow
def test_own_pictures_are_configured_as_the_page_says(tmp_path: Path) -> None:
    (wanted,) = {tuple(words) for _, words in COMMANDS if words[3:5] == ["configure", "adapt"]}
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    for file in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / file, tmp_path)
    for command in (wanted[1:], ("-m", "pipeline", "check")):
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**environment(), "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    assert "source: images" in (tmp_path / "params.yaml").read_text()


def environment() -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith(("MLFLOW", "PREFECT", "HMER"))}


@pytest.mark.medium
def test_the_site_is_whole_and_needs_no_network(tmp_path: Path) -> None:
    """Every page is in its menu, every link leads to a page, nothing is loaded from elsewhere."""
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: make setup")
    done = subprocess.run(["make", "docs"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for page in (ROOT / "build/site").rglob("*.html"):
        loaded = re.findall(
            r'<(?:script|img|link)[^>]*(?:src|href)="(https?:[^"]*)"', page.read_text()
        )
        assert not [one for one in loaded if "canonical" not in one], page.name


# The example of a source


def test_its_source_of_data_works(tmp_path: Path) -> None:
    pattern = r"```python\n(# hmer/ingest/sources/mine.py\n.*?)```"
    (code,) = re.findall(pattern, text("docs/train.md"), re.DOTALL)
    (tmp_path / "mine.py").write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location("mine", tmp_path / "mine.py")
    assert spec is not None and spec.loader is not None
    mine: Any = importlib.util.module_from_spec(spec)
    sys.modules["mine"] = mine
    spec.loader.exec_module(mine)
    ink = Ink((np.array([[0, 0], [60, 90]], np.float32),))
    (tmp_path / "ink").mkdir()
    for number in range(40):
        document = InkDocument(ink, "x + 1", writer=f"w{number}")
        (tmp_path / "ink" / f"{number}.inkml").write_bytes(write_inkml(document))
    source = mine.Mine(path=str(tmp_path / "ink"))
    summary = ingest_source(source, IngestConfig(workers=1), tmp_path / "dataset")
    assert sum(split.samples for split in summary.splits.values()) == 40
    assert summary.source == "mine"
