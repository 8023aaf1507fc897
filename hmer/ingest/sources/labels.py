"""Files of captions, as people keep them: CSV, TSV, JSON (lines), or a name and a caption a line.

Cells are separated by whatever the first line is separated by: commas, semicolons (spreadsheets
of half the world) or tabs, in a .txt also blanks.
"""

from __future__ import annotations

import csv
import json
import re
import unicodedata
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path, PurePosixPath

from hmer.errors import HmerError
from hmer.ink.raster import PICTURES

COLUMNS: dict[str, tuple[str, ...]] = {
    "file": tuple(
        "file image filename imagename imagefile imagepath filepath name img imgname imgpath path "
        "picture id imageid".split()
    ),
    "latex": tuple(
        "latex label normalizedlabel caption formula latexformula latexcode truth groundtruth gt "
        "text transcription equation expression tex target".split()
    ),
    "writer": ("writer", "writerid", "author"),
}
"""Names under which each piece of a label is found, without blanks and signs; the first is ours."""

_DELIMITERS = {".csv": ",;\t|", ".tsv": "\t,;|", ".txt": "\t ,;|"}
"""What may separate cells, by the file's ending; the first wins where others separate alike."""
_HEAD = 1024  # bytes from which text is told
_JSON = (".json", ".jsonl", ".ndjson")
_ENDINGS = (".inkml", ".ink", ".xml", ".svg", ".pdf", *PICTURES)
_ESCAPES = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]|[\t\r](?=[a-z])")
"""What becomes of `\\frac`, `\\beta`, `\\theta`, `\\rho` where a backslash escapes."""


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


Name = tuple[tuple[str, ...], str]
"""A file's folders and name without its ending, and that."""


def split_name(file: str, endings: Iterable[str]) -> Name:
    """A file's name, whatever slashes and Unicode spelling of accents it is written with."""
    plain = unicodedata.normalize("NFC", file).replace("\\", "/")
    parts = tuple(part for part in plain.split("/") if part not in ("", "."))
    *folders, last = parts or ("",)
    ending = next((end for end in endings if last.lower().endswith(end)), "")
    return (*folders, last[: len(last) - len(ending)]), ending


class Names:
    """Names of files in a list: with all folders, some or none, and with the ending or without."""

    def __init__(self, names: Iterable[Name]) -> None:
        by_stem = defaultdict(list)
        for name in names:
            by_stem[name[0][-1]].append(name)
        self.by_stem = dict(by_stem)
        # The folders that all names begin with may be those of another machine.
        folders = [parts[:-1] for alike in by_stem.values() for parts, _ in alike]
        low, high = min(folders, default=()), max(folders, default=())
        self._common = next(
            (n for n, (a, b) in enumerate(zip(low, high, strict=False)) if a != b),
            min(len(low), len(high)),
        )

    def fitting(self, file: Name) -> list[Name]:
        """Those that may name this file best; more than one where folders would tell them apart."""
        parts, ending = file
        fits: dict[tuple[int, bool], list[Name]] = defaultdict(list)
        for name in self.by_stem.get(parts[-1], ()):
            named = name[0][self._common :]
            shared = min(len(named), len(parts))
            if named[-shared:] == parts[-shared:] and name[1] in ("", ending):
                fits[shared, bool(name[1])].append(name)
        return fits[max(fits)] if fits else []


class Captions:
    """Tokens by file, from lines of an id, a tab, and LaTeX, or any file of labels.

    An id may have folders, and any ending of ink or of a picture of it. What has no blanks between
    its tokens is split later, by `hmer.latex.dialect`.

    Attributes:
        ids: as they are written.
        unused: those that no file has had so far.
    """

    def __init__(self, path: Path, parameter: str) -> None:
        """Read them.

        Raises:
            HmerError: the file is missing, empty, not UTF-8, or has a line of another form.
        """
        self._by_name: dict[Name, tuple[str, tuple[str, ...]]] = {}
        for label in read_labels(path, parameter, otherwise=".txt"):
            if label.problem:
                raise HmerError(f"{parameter}: {path}: {label.problem}")
            id, tokens = label.file.strip(), tuple(label.latex.split())
            if self._by_name.setdefault(_bare(id), (id, tokens))[1] != tokens:
                raise HmerError(
                    f"{parameter}: {path}: {id} is named twice; keep one of its captions"
                )
        if not self._by_name:
            raise HmerError(f"{parameter}: {path} holds no captions; write a line each")
        self._names = Names(self._by_name)
        self.ids = [id for id, _ in self._by_name.values()]
        self.unused = dict.fromkeys(self.ids)

    def of(self, file: str) -> tuple[str, ...] | None:
        """The caption of a file; None where no id is its, or several may be."""
        for name in (_bare(file), _bare(str(PurePosixPath(file).with_suffix("")))):
            # Folders that are called otherwise elsewhere matter only where they have to.
            found = self._names.fitting(name) or self._names.by_stem.get(name[0][-1], [])
            if len(found) == 1:
                id, tokens = self._by_name[found[0]]
                self.unused.pop(id, None)
                return tokens
        return None


def _bare(file: str) -> Name:
    """A name without its endings."""
    parts, ending = split_name(file, _ENDINGS)
    while ending:
        parts, ending = split_name("/".join(parts), _ENDINGS)
    return parts, ""


def read_labels(path: Path, parameter: str, otherwise: str = "") -> Iterator[Label]:
    """The labels of a file, one at a time, in order; blank lines are passed over.

    Columns are found by their names (`COLUMNS`). Without a line of names the first column is the
    picture and the second its caption, as in HME100K's `train_labels.txt`.

    Args:
        path: the file.
        parameter: what named it, for messages.
        otherwise: the ending as which a file of another one is read; "": it is refused.

    Raises:
        HmerError: the file is missing, of an unknown kind, or not UTF-8 (nor UTF-16 with its mark).
    """
    suffix = path.suffix.lower()
    if suffix not in (*_DELIMITERS, *_JSON) and not (suffix := otherwise):
        kinds = ", ".join((*_DELIMITERS, *_JSON))
        raise HmerError(f"{parameter}: {path} is not a file of captions ({kinds})")
    try:
        with path.open("rb") as head:  # spreadsheets call UTF-16 "Unicode text"
            begin = head.read(_HEAD)
        marked = begin[:2] in (BOM_UTF16_LE, BOM_UTF16_BE)
        if b"\0" in begin and not marked:
            raise HmerError(
                f"{parameter}: {path} is no text (a workbook, or UTF-16 without its mark); save it "
                "as text in UTF-8"
            )
        with path.open(encoding="utf-16" if marked else "utf-8-sig", newline="") as lines:
            if suffix in _JSON:
                yield from _json(lines.read(), suffix)
            else:
                yield from _table(lines, _DELIMITERS[suffix])
    except OSError as error:
        raise HmerError(f"{parameter}: {path} cannot be read ({error.strerror})") from error
    except UnicodeError as error:
        raise HmerError(f"{parameter}: {path} is not UTF-8; save it as UTF-8") from error
    except csv.Error as error:
        raise HmerError(f"{parameter}: {path} is not a table ({error})") from error
    except (ValueError, RecursionError) as error:
        raise HmerError(
            f"{parameter}: {path} is not JSON ({error}); correct it there; "
            "backslashes are written twice"
        ) from error


def _json(text: str, suffix: str) -> Iterator[Label]:
    """The labels of one JSON value, or of one a line.

    Raises:
        ValueError, RecursionError: it is not JSON.
    """
    try:
        yield from (_entry(one, f"entry {n}") for n, one in enumerate(_entries(_parsed(text)), 1))
    except (ValueError, RecursionError):
        rows = [(f"line {n}", row) for n, row in enumerate(text.split("\n"), 1) if row.strip()]
        if suffix == ".json" and rows and isinstance(_attempt(rows[0][1]), Exception):
            raise
        for where, row in rows:
            found = _attempt(row)
            problem = f"{where} is not JSON: {found}" if isinstance(found, Exception) else ""
            yield Label("", "", problem=problem) if problem else _entry(found, where)


def _parsed(text: str) -> object:
    """A JSON value: objects are tuples of pairs, numbers are as they are written."""
    found: object = json.loads(text, object_pairs_hook=tuple, parse_int=str, parse_float=str)
    return found


def _attempt(text: str) -> object:
    """The same, or why it is none."""
    try:
        return _parsed(text)
    except (ValueError, RecursionError) as error:
        return error


def _entries(found: object) -> Iterable[object]:
    """A list's; an object's: itself, what it has by columns, a list in it, or captions by name."""
    if not isinstance(found, tuple):
        return found if isinstance(found, list) else [found]
    names = [_plain(key) for key, _ in found]
    if _named(names, "file") and _named(names, "latex"):
        columns = [_column(value) for _, value in found]
        whole = all(column is not None for column in columns)
        rows = zip(*(column or () for column in columns), strict=False)
        return [tuple(zip(names, row, strict=True)) for row in rows] if whole else [found]
    lists = [one for _, one in found if isinstance(one, list)]
    inner = [one for one in lists if one and all(isinstance(each, list | tuple) for each in one)]
    if len(inner) == 1:
        return inner[0]
    return [
        (*([] if _named([_plain(k) for k, _ in one], "file") else [("file", key)]), *one)
        if isinstance(one, tuple)
        else [key, one]
        for key, one in found
    ]


def _column(value: object) -> list[object] | None:
    """What a table has in a column, by its rows' order or by their names; None if it is none."""
    if isinstance(value, tuple):
        return [one for _, one in value]
    return value if isinstance(value, list) else None


def _entry(found: object, where: str) -> Label:
    if isinstance(found, list) and len(found) in (2, 3):
        found = tuple(zip(("file", "latex", "writer"), found, strict=False))
    if not isinstance(found, tuple):
        return Label("", "", problem=f"{where} is neither an object nor a pair of name and LaTeX")
    label = _label({_plain(key): text for key, text in found if isinstance(text, str)}, where)
    keys = [_plain(key) for key, _ in found]
    if lacking := " and ".join(repr(key) for key in ("file", "latex") if not _named(keys, key)):
        return replace(label, latex="", problem=f"{where} has no key {lacking}; name its keys so")
    return label


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
    remedy = ""
    for number, cells in enumerate(_cells(chain(head, lines), delimiter), 1):
        if not any(cell.strip() for cell in cells):
            continue
        if names is None:
            names = [_plain(cell) for cell in cells]
            if _named(names, "file") and _named(names, "latex"):
                continue
            names, remedy = ("file", "latex"), ", or name the columns (file, latex) in a first line"
        label = _label(dict(zip(names, cells, strict=False)), f"line {number}")
        if any(cell.strip() for cell in cells[len(names) :]):
            problem = (
                f"line {number} has {len(cells)} cells separated by {delimiter!r}, not "
                f"{len(names)}; put a caption that has a {delimiter!r} in it into quotes{remedy}"
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
    return _quoted(lines, delimiter)


def _quoted(lines: Iterable[str], delimiter: str) -> Iterator[list[str]]:
    """Rows of cells that may be quoted, and then have line breaks.

    Raises:
        csv.Error: a quotation mark is not closed, and swallows the lines after it.
    """
    taken: list[str] = []

    def noted() -> Iterator[str]:
        for line in lines:
            taken.append(line)
            yield line

    count = 0
    for cells in csv.reader(noted(), delimiter=delimiter, skipinitialspace=True):
        if len(taken) > 1 and "".join(taken).count('"') % 2:
            raise csv.Error(f"a quotation mark in line {count + 1} is not closed; close it")
        count += len(taken)
        taken.clear()
        yield cells


def _plain(name: str) -> str:
    """A column's name in lower case, without blanks and signs."""
    return re.sub(r"[\W_]", "", name).lower()


def _unquoted(cell: str) -> str:
    """A cell between tabs: a quote in it is a prime, but spreadsheets quote cells with commas."""
    quoted = re.fullmatch(r'\s*"(.*)"\s*', cell)
    return quoted[1].replace('""', '"') if quoted else cell


def _named(names: Sequence[str], piece: str) -> bool:
    return any(name in names for name in COLUMNS[piece])


def _label(cells: Mapping[str, str], where: str) -> Label:
    file, latex, writer = (
        next((cells[name] for name in COLUMNS[piece] if cells.get(name)), "")
        for piece in ("file", "latex", "writer")
    )
    problem = ""
    if not file.strip() or not latex.strip():
        problem = f"{where} lacks a name or a caption"
    elif _ESCAPES.search(latex):
        problem = f"{where} has a control character; write backslashes twice there, \\\\frac"
    return Label(file.strip(), "" if problem else latex.strip(), writer.strip(), problem)
