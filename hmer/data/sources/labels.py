"""Files of captions, as people keep them: CSV, TSV, JSON lines, or a name and a caption a line."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hmer.errors import HmerError

COLUMNS: dict[str, tuple[str, ...]] = {
    "file": ("file", "image", "filename", "file_name", "name", "img", "path", "id"),
    "latex": ("latex", "label", "caption", "formula", "truth", "text"),
    "writer": ("writer", "writer_id", "author"),
}
"""Names under which each piece of a label is found; the first is ours."""

_DELIMITERS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
_JSON = (".jsonl", ".ndjson")


@dataclass(frozen=True, slots=True)
class Label:
    """One line of a caption file.

    Attributes:
        file: the picture, as the line names it.
        latex: its caption, "" where the line is of no use: `problem` says why.
        writer: who wrote it, "" if unknown.
    """

    file: str
    latex: str
    writer: str = ""
    problem: str = ""


def read_labels(path: Path, parameter: str) -> Iterator[Label]:
    """The labels of a file, one at a time, in order; blank lines are passed over.

    Columns are found by their names (`COLUMNS`). Without a line of names the first column is the
    picture and the second its caption, as in HME100K's `train_labels.txt`.

    Raises:
        HmerError: the file is missing, of an unknown kind, or not UTF-8.
    """
    suffix = path.suffix.lower()
    if suffix not in _DELIMITERS and suffix not in _JSON:
        kinds = ", ".join((*_DELIMITERS, *_JSON))
        raise HmerError(f"{parameter}: {path} is not a file of captions ({kinds})")
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            yield from (_json(lines) if suffix in _JSON else _table(lines, _DELIMITERS[suffix]))
    except OSError as error:
        raise HmerError(f"{parameter}: {path} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise HmerError(f"{parameter}: {path} is not UTF-8; save it as UTF-8") from error
    except csv.Error as error:
        raise HmerError(f"{parameter}: {path} is not a table ({error})") from error


def _json(lines: Iterator[str]) -> Iterator[Label]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            yield Label("", "", problem=f"line {number} is not a JSON object")
            continue
        yield _label({key: found[key] for key in found if isinstance(found[key], str)}, number)


def _table(lines: Iterator[str], delimiter: str) -> Iterator[Label]:
    # Tab-separated files are written without quoting: a quote in them is a prime.
    reader = (
        csv.reader(lines, delimiter=delimiter)
        if delimiter == ","
        else csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    )
    names: Sequence[str] | None = None
    for number, cells in enumerate(reader, 1):
        if not any(cell.strip() for cell in cells):
            continue
        if names is None:
            names = [cell.strip().lower() for cell in cells]
            if _named(names, "file") and _named(names, "latex"):
                continue
            names = ("file", "latex")
        yield _label(dict(zip(names, cells, strict=False)), number)


def _named(names: Sequence[str], piece: str) -> bool:
    return any(name in names for name in COLUMNS[piece])


def _label(cells: Mapping[str, str], number: int) -> Label:
    file, latex, writer = (
        next((cells[name].strip() for name in COLUMNS[piece] if cells.get(name)), "")
        for piece in ("file", "latex", "writer")
    )
    problem = "" if file and latex else f"line {number} lacks a picture's name or its caption"
    return Label(file, "" if problem else latex, writer, problem)
