"""Real-world inputs: what comes of each, one table. `python -m benchmarks.cases FOLDER`.

FOLDER has one folder a case (NN-name) with `expect.txt` and inputs, or a tar.gz of them; `fuzz/`
has inputs, named after what reads them, of which only documented errors may come. Exit 1 where
anything else does, or a reading is wrong.
"""

from __future__ import annotations

import contextlib
import io
import re
import signal
import sys
import tarfile
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

from hmer.cli import main as hmer
from hmer.data.schema import Sample
from hmer.errors import HmerError
from hmer.ingest.archive import read_members
from hmer.ingest.convert import Converter
from hmer.ingest.sources.inkml import ReadInkml
from hmer.ink.inkml import looks_like_ink
from hmer.recognizer import SHIPPED, Recognizer
from pipeline.params import read_yaml

SECONDS = 60
EXPECTED = re.compile(r"reads ((?:(?!-like).)+?)(?=:| \(|,| from | or | for |$)")
RIGHT, WRONG, READ, LINE, CRASH = "right", "WRONG", "read", "one line", "TRACEBACK"
BLANK = "blank"
BETWEEN = " // "
"""Between the expressions of one page."""

Row = tuple[str, str, str, str]
"""Case, input, what came, verdict."""


@cache
def recognizer() -> Recognizer:
    """The shipped recogniser, loaded once."""
    return Recognizer.load()


def attempt(act: Callable[[], str], wanted: str | None) -> tuple[str, str]:
    """What came of an input, and the verdict."""

    def late(*_: object) -> None:
        raise RuntimeError(f"no end after {SECONDS} s of processor time")

    signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        came = act()
    except HmerError as error:
        said = str(error)
        return said, LINE if "\n" not in said else CRASH
    except Exception as error:
        return f"{type(error).__name__}: {error}", CRASH
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if wanted is None or came.startswith("{"):
        return came, READ
    if set(came.split(BETWEEN)) == {wanted}:
        return came, RIGHT
    return came, WRONG if came else BLANK


def evaluate(*arguments: object) -> str:
    """`hmer evaluate --json` as one calls it. Raises HmerError for its error line."""
    said, errors = io.StringIO(), io.StringIO()
    before = sys.argv
    sys.argv = ["hmer", "evaluate", "--json", "--beam", "2", *map(str, arguments)]
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
            hmer()
    except SystemExit as end:
        if end.code:
            raise HmerError(errors.getvalue().strip().splitlines()[-1]) from None
    finally:
        sys.argv = before
    warned = [line for line in errors.getvalue().splitlines() if line.startswith("warning")]
    kept = re.findall(r'"(?:n|exprate|unreadable|unmatched_captions)": [^\[,]*(?:\[.*?\])?',
                      said.getvalue())  # fmt: skip
    return "{" + ", ".join(kept) + "} " + " ".join(warned)


def convert(file: Path) -> str:
    """The ingest's converter on one InkML file."""
    found = Converter("wap", 0.0, recognizer().render)(
        ReadInkml(file.name, file.read_bytes(), "test")
    )
    if isinstance(found.result, Sample):
        return " ".join(found.result.tokens)
    raise HmerError(found.result.reason)


def archive(file: Path) -> str:
    """How many members a package has, whatever it is called."""
    with tempfile.TemporaryDirectory() as place:
        package = Path(place) / "package.tar"
        package.write_bytes(file.read_bytes())
        return str(sum(1 for _ in read_members(package, "", "cases")))


def model(file: Path) -> str:
    """The vocabulary of a model folder that has this for its model.json."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "model.json").write_bytes(file.read_bytes())
        (folder / "model.safetensors").symlink_to(SHIPPED.resolve() / "model.safetensors")
        return Recognizer.load(folder).vocabulary.name


READERS: dict[str, Callable[[Path], str]] = {
    "inkml": convert,
    "picture": lambda file: BETWEEN.join(one.latex for one in recognizer().read_page(file)),
    "archive": archive,
    "tar": lambda file: str(sum(1 for _ in read_members(file, "", "cases"))),
    "model": model,
    "params": lambda file: str(read_yaml(file)),
}


def case(folder: Path, name: str) -> Iterator[Row]:
    """The rows of one case; folders with ink in them, and their captions, are evaluated."""
    expect = folder / "expect.txt"
    text = expect.read_text(encoding="utf-8") if expect.is_file() else ""
    found = EXPECTED.match(text)
    wanted = found[1] if found and not re.search(r"(?<!\\)\b[a-z]{2}", found[1]) else None
    wanted = "" if text.startswith("no tokens") else wanted
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != expect)
    scored = "scores" in text
    sets = sorted({file.parent for file in files if looks_like_ink(file.read_bytes())})
    if scored:
        for place in sets:
            yield name, f"{place.relative_to(folder)}/", *attempt(partial(evaluate, place), None)
        captions = [file for file in files if file.suffix == ".txt"]
        for file in captions:
            came = attempt(partial(evaluate, sets[-1], "--captions", file), None)
            yield name, f"--captions {file.name}", *came
        return
    for file in files:
        if file.name.endswith(".tar.gz"):
            continue
        kind = re.split(r"[-.]", file.name)[0] if name == "fuzz" else "picture"
        came = attempt(partial(READERS[kind], file), wanted)
        yield name, str(file.relative_to(folder)), *came


def rows(root: Path) -> Iterator[Row]:
    """All cases; packages of inputs are unpacked for the while."""
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        package = folder / "inputs.tar.gz"
        if not package.is_file():
            yield from case(folder, folder.name)
            continue
        with tempfile.TemporaryDirectory() as place, tarfile.open(package) as inputs:
            inputs.extractall(place, filter="data")
            (Path(place) / "expect.txt").write_bytes((folder / "expect.txt").read_bytes())
            yield from case(Path(place), folder.name)


def main(root: Path) -> int:
    """Print the table; 1 where something but a right answer or an error line came."""
    warnings.simplefilter("ignore")
    verdicts: Counter[str] = Counter()
    for row in rows(root):
        verdicts[row[3]] += 1
        line = " | ".join((row[0], row[1], row[2].replace("\n", " / ")[:160], row[3]))
        sys.stdout.write(line.encode("utf-8", "backslashreplace").decode() + "\n")
        sys.stdout.flush()
    sys.stdout.write(", ".join(f"{verdicts[kind]} {kind}" for kind in sorted(verdicts)) + "\n")
    return 1 if verdicts[CRASH] or verdicts[WRONG] else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
