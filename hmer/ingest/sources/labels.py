"""Files of captions, as people keep them: CSV, TSV, JSON lines, or a name and a caption a line.

Cells are separated by whatever the first line is separated by: commas, semicolons (spreadsheets
of half the world) or tabs, in a .txt also blanks.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from hmer.errors import HmerError

COLUMNS: dict[str, tuple[str, ...]] = {
    "file": ("file", "image", "filename", "file_name", "name", "img", "path", "id"),
    "latex": ("latex", "label", "caption", "formula", "truth", "text"),
    "writer": ("writer", "writer_id", "author"),
}
"""Names under which each piece of a label is found; the first is ours."""

_DELIMITERS = {".csv": ",;\t", ".tsv": "\t", ".txt": "\t "}
"""What may separate cells, by the file's ending; the first wins where others separate alike."""
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


def read_labels(path: Path, parameter: str, otherwise: str = "") -> Iterator[Label]:
    """The labels of a file, one at a time, in order; blank lines are passed over.

    Columns are found by their names (`COLUMNS`). Without a line of names the first column is the
    picture and the second its caption, as in HME100K's `train_labels.txt`.

    Args:
        path: the file.
        parameter: what named it, for messages.
        otherwise: the ending as which a file of another one is read; "": it is refused.

    Raises:
        HmerError: the file is missing, of an unknown kind, or not UTF-8.
    """
    suffix = path.suffix.lower()
    if suffix not in (*_DELIMITERS, *_JSON) and not (suffix := otherwise):
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


def _table(lines: Iterator[str], delimiters: str) -> Iterator[Label]:
    head = []
    for line in lines:
        head.append(line)
        if line.strip():
            break
    if head and (declared := re.fullmatch(r"sep=([,;|\t])\s*", head[-1])):  # by Excel, for itself
        delimiters, head[-1] = declared[1], "\n"
    delimiter = _delimiter(head[-1] if head else "", delimiters)
    names: Sequence[str] | None = None
    for number, cells in enumerate(_cells(chain(head, lines), delimiter), 1):
        if not any(cell.strip() for cell in cells):
            continue
        if names is None:
            names = [cell.strip().lower() for cell in cells]
            if _named(names, "file") and _named(names, "latex"):
                continue
            names = ("file", "latex")
        label = _label(dict(zip(names, cells, strict=False)), number)
        if any(cell.strip() for cell in cells[len(names) :]):
            problem = (
                f"line {number} has {len(cells)} cells separated by {delimiter!r}, not "
                f"{len(names)}; put a caption that has a {delimiter!r} in it into quotes"
            )
            label = replace(label, latex="", problem=problem)
        yield label


def _delimiter(first: str, delimiters: str) -> str:
    """What separates the cells of a first line: what leaves the shortest first cell."""
    if "\t" in delimiters and "\t" in first:  # nothing else has one, and names may have blanks
        return "\t"
    return min(delimiters, key=lambda d: len("".join(next(_cells([first], d), [])[:1])))


def _cells(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    if delimiter == " ":
        return (line.strip().split(None, 1) for line in lines)
    if delimiter == "\t":
        return (
            [_unquoted(cell) for cell in cells]
            for cells in csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
        )
    return csv.reader(lines, delimiter=delimiter)


def _unquoted(cell: str) -> str:
    """A cell between tabs: a quote in it is a prime, but spreadsheets quote cells with commas."""
    quoted = re.fullmatch(r'\s*"(.*)"\s*', cell)
    return quoted[1].replace('""', '"') if quoted else cell


def _named(names: Sequence[str], piece: str) -> bool:
    return any(name in names for name in COLUMNS[piece])


def _label(cells: Mapping[str, str], number: int) -> Label:
    file, latex, writer = (
        next((cells[name].strip() for name in COLUMNS[piece] if cells.get(name)), "")
        for piece in ("file", "latex", "writer")
    )
    problem = "" if file and latex else f"line {number} lacks a name or a caption"
    return Label(file, "" if problem else latex, writer, problem)
