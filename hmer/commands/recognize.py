"""`hmer recognize`: pictures and ink files to LaTeX."""

from __future__ import annotations

import glob
import json
import os
import shutil
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from hmer.commands.output import check_file, check_folder
from hmer.errors import HmerError

if TYPE_CHECKING:
    from hmer.decoding.bidirectional import DecodingConfig
    from hmer.recognition import Candidate, Recognition
    from hmer.recognizer import Recognizer

MODEL_HELP = "Model folder; else $HMER_MODEL, else the recogniser that comes with hmer."
STDIN = ("-", "/dev/stdin")


class Format(StrEnum):
    """What is printed for each expression."""

    LATEX = "latex"
    COMPACT = "compact"
    MARKDOWN = "markdown"
    MATHML = "mathml"
    JSON = "json"
    INKML = "inkml"
    LG = "lg"


def chosen_model(model: Path | None) -> Path | None:
    """The model folder to use: as given, else $HMER_MODEL; None: the one that comes along."""
    named = os.environ.get("HMER_MODEL")
    return model or (Path(named) if named else None)


def recognize(
    files: Annotated[
        list[str] | None,
        typer.Argument(
            help="Pictures (PNG, JPEG, ...), ink (InkML, SVG), folders or patterns of them; "
            "- is standard input."
        ),
    ] = None,
    model: Annotated[Path | None, typer.Option(help=MODEL_HELP)] = None,
    beam: Annotated[int, typer.Option(min=1, max=100, help="Hypotheses per direction.")] = 10,
    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="latex: tokens between blanks; compact: as one would type it; inkml and lg (of "
            "ink only): each symbol with its strokes, lg as CROHME's label graphs. "
            "By default compact on a terminal, else latex.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The same as --format json: one object an expression.")
    ] = False,
    n_best: Annotated[
        int, typer.Option(min=1, max=100, help="Print so many readings, with their confidence.")
    ] = 1,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for inkml and lg, a file for each that is read; of several."),
    ] = None,
    symbols: Annotated[
        str | None,
        typer.Option(
            help="Write only these tokens: between blanks, or a file of them. Braces come with "
            "what needs them."
        ),
    ] = None,
    attention: Annotated[
        Path | None,
        typer.Option(help="Write a PNG of where the decoder looked for each token; of one file."),
    ] = None,
    clipboard: Annotated[bool, typer.Option(help="Read the picture in the clipboard.")] = False,
    copy: Annotated[bool, typer.Option(help="Copy what is printed to the clipboard.")] = False,
) -> None:
    """Print the LaTeX of each expression, one line each.

    Of several files, each line begins with the file's name; of several expressions in a file, from
    top to bottom, with the name and #1, #2, ... A file that cannot be read gives a message on
    standard error, and "not read" on its line (with --json "error"); the others are still read,
    and the exit status is 1.
    """
    from hmer.decoding.bidirectional import DecodingConfig
    from hmer.recognizer import Recognizer

    named = list(_expanded(files or []))
    sources: list[tuple[str, Path | bytes]] = [(name, Path(name)) for name in named]
    if clipboard:
        sources.append(("clipboard", _pasted()))
    if not sources:
        raise HmerError("nothing to read; name files, folders, - or --clipboard")
    shown = Format.JSON if as_json else format
    if shown is None:
        shown = Format.COMPACT if sys.stdout.isatty() else Format.LATEX
    if attention and len(sources) > 1:
        raise HmerError("--attention shows one expression; name one file")
    in_files = shown in (Format.INKML, Format.LG)
    if in_files and len(sources) > 1 and out is None:
        raise HmerError(f"--format {shown} is a file for each that is read; name a folder, --out")
    if out is not None:
        if not in_files:
            raise HmerError("--out goes with --format inkml and lg")
        stems = [PurePath(name).stem for name, _ in sources]
        if twice := next((stem for stem in stems if stems.count(stem) > 1), None):
            raise HmerError(f"--out: several files are called {twice}; read them one by one")
        check_folder(out, "--out")
    if attention is not None:
        check_file(attention, "--attention")
    chosen = None if symbols is None else _symbols(symbols)
    recognizer = Recognizer.load(chosen_model(model), "cpu", symbols=chosen)
    decoding = DecodingConfig(beam=beam)
    failed, said = False, []
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    for name, source in _counted(sources):
        read, reason = _read(
            recognizer, name, source, decoding, shown, attention is not None, out is not None,
            symbols is not None,
        )  # fmt: skip
        failed |= not read
        if not read and shown is Format.JSON:
            _write(sys.stdout, json.dumps({"file": name, "error": reason}))
        elif not read and len(sources) > 1:
            _write(sys.stdout, f"{name}: not read")
        for number, found in enumerate(read, 1):
            place = f"{name}#{number}" if len(read) > 1 else name
            prefixed = shown is not Format.JSON and (len(sources) > 1 or len(read) > 1)
            if shown is Format.JSON:
                lines = [json.dumps(_answer(name, number, found))]
            elif in_files:
                text = found.to_inkml().decode() if shown is Format.INKML else found.graph().to_lg()
                lines, prefixed = text.splitlines(), False
                if out is not None:
                    number_of = f"-{number}" if len(read) > 1 else ""
                    target = out / f"{PurePath(name).stem}{number_of}.{shown}"
                    target.write_text(text, encoding="utf-8")
                    lines = []
            else:
                lines = [_shown(one, shown, n_best) for one in found.n_best[:n_best]]
            for line in lines:
                _write(sys.stdout, f"{place}: {line}" if prefixed else line)
            said += lines
        if attention is not None and read:
            from hmer.recognition_picture import attention_sheet

            attention.write_bytes(attention_sheet(read[0], recognizer.stride))
    if copy and said:
        _copy("\n".join(said))
    if failed:
        raise typer.Exit(1)


def _symbols(given: str) -> list[str]:
    """Tokens between blanks, or in a file of that name."""
    path = Path(given)
    try:
        return (path.read_text(encoding="utf-8-sig") if path.is_file() else given).split()
    except (OSError, UnicodeDecodeError) as error:
        raise HmerError(f"--symbols: {given} cannot be read ({error}); save it as UTF-8") from None


def _expanded(files: Iterable[str]) -> Iterator[str]:
    """Files; those of a folder, sorted; those of a pattern that the shell has left as it is.

    A file that is named is read whatever its ending; hidden ones of a folder are not.

    Raises:
        HmerError: a name is empty.
    """
    from hmer.ink.raster import PICTURES

    read = (*PICTURES, ".pdf", ".inkml", ".svg", ".xml")
    for name in files:
        path = Path(name)
        if not name:
            raise HmerError("one of the names is empty; name files, folders or -")
        if path.is_dir():
            inside = sorted(
                file
                for file in path.rglob("*")
                if file.suffix.lower() in read
                and file.is_file()
                and not any(part.startswith(".") for part in file.relative_to(path).parts)
            )
            yield from map(str, inside or [path])  # an empty one is told where it is read
        elif (
            not path.exists()
            and glob.has_magic(name)
            and (
                found := sorted(glob.glob(name, recursive=True))  # noqa: PTH207
            )
        ):
            # `**` gives folders and what is in them.
            yield from _expanded(n for n in found if "**" not in name or not Path(n).is_dir())
        else:
            yield name


def _counted(sources: list[tuple[str, Path | bytes]]) -> Iterator[tuple[str, Path | bytes]]:
    """The same, with progress on a terminal to which the readings do not go."""
    if len(sources) == 1 or sys.stdout.isatty() or not sys.stderr.isatty():
        yield from sources
        return
    from hmer.progress import Steps

    with Steps("recognise", len(sources), unit=" files") as steps:
        for number, source in enumerate(sources, 1):
            yield source
            steps.update(number)


def _read(
    recognizer: Recognizer,
    name: str,
    source: Path | bytes,
    decoding: DecodingConfig,
    shown: Format,
    attention: bool,
    several: bool,
    limited: bool,
) -> tuple[list[Recognition], str]:
    """What was read, or nothing and why not; warnings and errors are told on standard error."""
    from hmer.recognizer import NOTHING

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        try:
            if name in STDIN and sys.stdin is None:
                raise HmerError(f"{name}: standard input is closed; pipe a file into it")
            data = sys.stdin.buffer if name in STDIN else source
            found = recognizer.read_page(data, decoding, attention=attention) or [NOTHING]
            reason = ""
            if limited and any(one.image.any() and not one.tokens for one in found):
                raise HmerError(f"{name}: the --symbols cannot write what is there; name more")
            if shown in (Format.INKML, Format.LG):
                if found[0].ink is None:
                    raise HmerError(f"{name}: has no strokes, which {shown} is made of; give ink")
                if len(found) > 1 and not several:
                    raise HmerError(f"{name}: {len(found)} expressions; name a folder with --out")
            if attention and len(found) > 1:
                raise HmerError(f"{name}: {len(found)} expressions, and --attention shows one")
        except HmerError as error:
            found, reason = [], str(error)
        except Exception as error:  # a bug: told as one, but the other files are still read
            _write(sys.stderr, traceback.format_exc().rstrip())
            found, reason = [], f"{name}: failed by a mistake of hmer's own, please report it"
            reason += f" ({type(error).__name__}: {error})"
    for warning in told:
        _write(sys.stderr, f"warning: {warning.message}")
    if reason:
        _write(sys.stderr, f"error: {reason}")
    return found, reason


def _shown(one: Candidate, shown: Format, n_best: int) -> str:
    """A reading as a line."""
    text = {
        Format.LATEX: one.latex,
        Format.COMPACT: one.compact,
        Format.MARKDOWN: f"${one.compact}$",
        Format.MATHML: one.mathml or "",
    }[shown]
    return f"{one.confidence:.4f}\t{text}" if n_best > 1 else text


def _write(stream: TextIO, line: str) -> None:
    """A line in the stream's encoding; signs that it lacks are escaped."""
    encoding = stream.encoding or "utf-8"
    stream.write(line.encode(encoding, "backslashreplace").decode(encoding) + "\n")


def _answer(name: str, number: int, found: Recognition) -> dict[str, object]:
    return {
        "file": name,
        "number": number,
        "page": found.page,
        "box": found.box,
        "latex": found.latex,
        "compact": found.compact,
        "confidence": round(found.confidence, 4),
        "alternatives": [
            {"latex": " ".join(tokens), "confidence": round(confidence, 4)}
            for tokens, confidence in found.alternatives
        ],
    }


_PASTE = (
    ("wl-paste", "--type", "image/png"),
    ("xclip", "-selection", "clipboard", "-target", "image/png", "-out"),
    ("pngpaste", "-"),
)
_COPY = (("wl-copy",), ("xclip", "-selection", "clipboard"), ("pbcopy",), ("clip",))


def _tool(tools: Iterable[tuple[str, ...]], what: str) -> tuple[str, ...]:
    """The first that is installed."""
    found = next((tool for tool in tools if shutil.which(tool[0])), None)
    if found is None:
        names = ", ".join(tool[0] for tool in tools)
        raise HmerError(f"{what} needs one of these programs: {names}; install one")
    return found


def _pasted() -> bytes:
    """The picture in the clipboard, as PNG."""
    done = subprocess.run(_tool(_PASTE, "--clipboard"), capture_output=True, check=False)
    if done.returncode or not done.stdout:
        raise HmerError("--clipboard: there is no picture in the clipboard; copy one first")
    return done.stdout


def _copy(text: str) -> None:
    tool = _tool(_COPY, "--copy")
    # Not captured: what copies stays in the background, and would keep the pipe open.
    done = subprocess.run(
        tool, input=text.encode(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        raise HmerError(f"--copy: {tool[0]} failed ({done.returncode}); is there a display?")
