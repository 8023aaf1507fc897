"""Isolated symbols for the glyph bank, from the published collections UNIPEN and Detexify.

UNIPEN (Guyon, Schomaker, Plamondon, Liberman and Janet, "UNIPEN project of on-line data exchange
and recognizer benchmarks", ICPR 1994) has letters, digits and signs by hundreds of hands, in a text
format of its own; Detexify has LaTeX symbols as strokes, one JSON object a line. Neither says how
large a symbol is in a line of mathematics: `hmer.synthesis.glyphs.foreign` decides that.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hmer.errors import HmerError
from hmer.ingest.archive import read_lines, read_members
from hmer.latex.spellings import SYNONYMS
from hmer.latex.vocabulary import Vocabulary
from hmer.synthesis.glyphs.bank import FOREIGN, Cutting, GlyphBank
from hmer.synthesis.glyphs.font import BUILT, Glyph

_STRUCTURE = frozenset((*BUILT, "{", "}", "^", "_"))
_SIGNS = {sign: f"\\{sign}" for sign in "{}%#$&_"}
_OF_ALPHABET = re.compile(r"(\\math[a-z]+)\{(\w)\}")
_KEYWORD = re.compile(r"^[ \t]*\.([A-Z_]+)", re.MULTILINE)
_PART = re.compile(r"(\d+)(?::(\d+))?(?:-(\d+)(?::(\d+))?)?\Z")
_TESTED = 10  # held-out samples of a symbol from each collection, at most
_STRAIGHT = 0.07  # of a symbol's samples: fewer that are one straight stroke lack a part (`!`, `x`)
_WHOLE = {**dict.fromkeys("ij:;!?", range(2, 9)), **dict.fromkeys("0|", range(1, 2))}
"""Strokes of symbols where other numbers are another shape: one stroke of an `i` lacks its dot, a
zero of two is slashed (a theta, in mathematics), a bar of two is that of old keyboards."""
_LABEL = re.compile(r'"((?:[^"\\]|\\.)*)"')


class GlyphsConfig(BaseModel):
    """Isolated symbols to write with, beside those cut out of the training ink."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unipen: str = Field("", description="folder or package of UNIPEN's train_r01_v07; empty: none")
    detexify: str = Field("", description="Detexify's samples, JSON lines; empty: none")
    per_class: int = Field(
        300, ge=1, description="samples of a symbol from each collection, spread over its hands"
    )
    held_out: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="share of their hands, and of `ingest.captions`, that is not written with but "
        "makes the tests `isolated` and `composed`",
    )

    def paths(self) -> list[str]:
        """The files and folders that are read."""
        return [path for path in (self.unipen, self.detexify) if path]


class Isolated(NamedTuple):
    """One symbol: its token, who wrote it, its strokes (y downwards, any unit).

    `unit` names what is held out as one: all of a hand, or the sample where no hand is told.
    """

    token: str
    hand: str
    strokes: Glyph
    unit: str


def gather(
    config: GlyphsConfig, vocabulary: Vocabulary, seed: int
) -> tuple[GlyphBank, GlyphBank | None, dict[str, dict[str, int]]]:
    """The symbols of both collections that the vocabulary has, each as large as one unit.

    Returns:
        The bank; that of the hands that are held out, None if there are none; and by collection how
        many were taken, and left out for what reason.

    Raises:
        HmerError: a collection cannot be read, or nothing is left.
    """
    cuttings: tuple[list[Cutting], list[Cutting]] = ([], [])
    groups: dict[str, str] = {}
    counts: dict[str, dict[str, int]] = {}
    for name, path, reader in (
        ("unipen", config.unipen, read_unipen),
        ("detexify", config.detexify, read_detexify),
    ):
        if not path:
            continue
        left_out: Counter[str] = Counter()
        taken: dict[str, list[Isolated]] = {}
        tested: dict[str, list[Isolated]] = {}
        for symbol in reader(Path(path), left_out):
            if _writable(symbol.token, vocabulary):
                chosen = tested if is_held_out(symbol.unit, config.held_out) else taken
                chosen.setdefault(symbol.token, []).append(symbol)
            else:
                left_out["not in the vocabulary"] += 1
        for token in taken.keys() | tested.keys():
            _leave_out_broken([taken.get(token, []), tested.get(token, [])], left_out)
        rng = np.random.default_rng([seed, 11])
        for symbols, most, into in (
            (taken, config.per_class, cuttings[0]),
            (tested, _TESTED, cuttings[1]),
        ):
            for token in sorted(symbols):
                for symbol in _spread(symbols[token], most, rng):
                    hand = f"{name}/{symbol.hand}"
                    groups[hand] = f"{FOREIGN}{name}"
                    into.append(Cutting(token, hand, _unit(symbol.strokes)))
        left_out["held out"] = sum(map(len, tested.values()))
        left_out["beyond per_class"] = sum(
            max(0, len(symbols) - config.per_class) for symbols in taken.values()
        )
        counts[name] = {
            "taken": sum(min(len(symbols), config.per_class) for symbols in taken.values()),
            **dict(sorted(left_out.items())),
        }
        if not any(taken.values()):
            raise HmerError(
                f"ingest.glyphs.{name}: {path} has no symbol of the vocabulary; set it to the "
                "collection as it is published, or leave it empty"
            )
    unseen = GlyphBank.pack(cuttings[1], groups) if cuttings[1] else None
    return GlyphBank.pack(cuttings[0], groups), unseen, counts


def is_held_out(name: str, share: float) -> bool:
    """Whether a caption, or a hand, is of the share that is held out: decided by its name alone."""
    number = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest(), "big")
    return number < share * 2**32


def _writable(token: str, vocabulary: Vocabulary) -> bool:
    r"""Whether captions can have the symbol; one of an alphabet (`\mathbb{R}`) is two tokens."""
    letter = _OF_ALPHABET.fullmatch(token)
    if letter is not None:
        return letter[1] in vocabulary and letter[2] in vocabulary
    return token in vocabulary and token not in _STRUCTURE


def _spread(symbols: list[Isolated], most: int, rng: np.random.Generator) -> list[Isolated]:
    """At most `most` of them, one of every hand before a second of any."""
    shuffled = [symbols[i] for i in rng.permutation(len(symbols)).tolist()]
    seen: Counter[str] = Counter()
    rounds = []
    for number, symbol in enumerate(shuffled):
        rounds.append((seen[symbol.hand], number))
        seen[symbol.hand] += 1
    return [shuffled[number] for _, number in sorted(rounds)[:most]]


def _leave_out_broken(parts: Sequence[list[Isolated]], left_out: Counter[str]) -> None:
    """Leave out of the samples of one symbol those of a wrong number of strokes.

    Where few samples are one straight stroke, these lack a part, too: half of an `x`.
    """
    token = next(symbol.token for part in parts for symbol in part)
    whole = _WHOLE.get(token)
    broken = [
        [
            len(symbol.strokes) not in whole if whole else _is_straight(symbol.strokes)
            for symbol in part
        ]
        for part in parts
    ]
    share = sum(map(sum, broken)) / sum(map(len, parts))
    if not share or (whole is None and share >= _STRAIGHT):
        return
    for part, found in zip(parts, broken, strict=True):
        part[:] = [symbol for symbol, bad in zip(part, found, strict=True) if not bad]
        left_out["broken"] += sum(found)


def _is_straight(strokes: Glyph) -> bool:
    """Whether it is one stroke, straight within 8 % of its length, or a dot."""
    points = np.asarray(strokes[0], np.float64)
    chord = points[-1] - points[0]
    length = float(np.hypot(*chord))
    if len(strokes) > 1 or not length:
        return len(strokes) == 1 and not np.ptp(points, axis=0).any()
    aside = np.abs((points - points[0]) @ (-chord[1], chord[0])) / length
    written = float(np.hypot(*np.diff(points, axis=0).T).sum())
    return bool(aside.max() <= 0.08 * length and written <= 1.1 * length)


def _unit(strokes: Glyph) -> Glyph:
    """Strokes with their left top at (0, 0) and a longer side of 1."""
    points = np.concatenate(strokes)
    corner = points.min(axis=0)
    side = max(float(np.ptp(points, axis=0).max()), 1e-9)
    return tuple((stroke - corner) / side for stroke in strokes)


# --- Detexify ---


def read_detexify(path: Path, left_out: Counter[str]) -> Iterator[Isolated]:
    """The samples of a file of JSON lines (`command`, `strokes`), perhaps packed (.xz, .gz).

    Raises:
        HmerError: the file cannot be read. What is no symbol is counted in `left_out`.
    """
    for line in read_lines(path, "ingest.glyphs.detexify"):
        try:
            sample = json.loads(line)
            token = str(sample["command"]).replace("mathds", "mathbb")
            same = SYNONYMS.get(token, ())
            token = same[0] if len(same) == 1 else token
            strokes = _strokes(np.array(stroke, np.float64) for stroke in sample["strokes"])
        except (ValueError, KeyError, TypeError, RecursionError):
            left_out["not readable"] += 1
            continue
        if strokes:
            yield Isolated(token, "detexify", strokes, str(sample.get("row") or line))
        else:
            left_out["without strokes"] += 1


def _strokes(arrays: Iterable[NDArray[np.float64]]) -> Glyph:
    """The strokes with finite points. Raises ValueError: one is no list of pairs."""
    found = []
    for array in arrays:
        if array.size and (array.ndim != 2 or array.shape[1] < 2):
            raise ValueError("a stroke is a list of pairs")
        if array.size and np.isfinite(array[:, :2]).all():
            found.append(array[:, :2])
    return tuple(found)


# --- UNIPEN ---


def read_unipen(path: Path, left_out: Counter[str]) -> Iterator[Isolated]:
    """The isolated characters of a UNIPEN distribution: `data` with segments, `include` with ink.

    `left_out` counts segments that name ink that is not there, or more than one character.

    Raises:
        HmerError: it cannot be read.
    """
    segments: list[tuple[str, str]] = []
    includes: dict[str, bytes] = {}
    for member in read_members(path, "", "ingest.glyphs.unipen"):
        folder, found, name = member.name.partition("include/")
        if found and (not folder or folder.endswith("/")):
            includes[name] = member.data
        elif b".SEGMENT" in member.data:
            segments.append((member.name, member.data.decode("latin-1")))
    inks: dict[tuple[str, tuple[str, ...]], _Ink] = {}
    for name, text in segments:
        fields = list(_fields(text))
        included = [rest.strip() for word, rest in fields if word == "INCLUDE"]
        columns: tuple[str, ...] = ("X", "Y")
        ink: list[NDArray[np.float64]] = []
        for include in included:
            key = include, columns
            if key not in inks:
                inks[key] = _components(includes.get(include, b"").decode("latin-1"), columns)
            columns = inks[key].columns
            ink += inks[key].components
        ink += _components(text, columns).components
        hand = _hand(name)
        for word, rest in fields:
            if word != "SEGMENT":
                continue
            symbol = _segment(rest, ink)
            if isinstance(symbol, str):
                left_out[symbol] += 1
            else:
                yield Isolated(symbol[0], hand, symbol[1], hand)


def _hand(name: str) -> str:
    """The hand of a data file: its path below the category (1a, 1b, ...), without the ending.

    A writer's letters, digits and signs lie in files of one name, in several categories.
    """
    path = PurePosixPath(name)
    at = max((i for i, part in enumerate(path.parts) if re.fullmatch(r"\d[a-z]", part)), default=-1)
    return str(PurePosixPath(*path.parts[at + 1 :]).with_suffix(""))


def _fields(text: str) -> Iterator[tuple[str, str]]:
    """The keywords of a UNIPEN text, each with what follows it up to the next."""
    words = list(_KEYWORD.finditer(text))
    for word, following in zip(words, [*words[1:], None], strict=False):
        yield word[1], text[word.end() : following.start() if following else len(text)]


class _Ink(NamedTuple):
    """The components of a text, and how its coordinates are ordered from its end on."""

    columns: tuple[str, ...]
    components: list[NDArray[np.float64]]
    """Pen-down ones as points (n, 2) with y downwards; pen-up ones as arrays (n, 0)."""


def _components(text: str, columns: tuple[str, ...]) -> _Ink:
    found: list[NDArray[np.float64]] = []
    for word, rest in _fields(text):
        if word == "COORD":
            columns = tuple(rest.split())
        if word not in ("PEN_DOWN", "PEN_UP") or not {"X", "Y"} <= {*columns}:
            continue
        try:
            numbers = np.array(rest.split(), np.float64)
        except ValueError:
            continue
        table = numbers[: len(numbers) // len(columns) * len(columns)].reshape(-1, len(columns))
        if len(table):  # components without points are not numbered
            xy = table[:, [columns.index("X"), columns.index("Y")]] * (1.0, -1.0)
            found.append(xy if word == "PEN_DOWN" else xy[:, :0])
    return _Ink(columns, found)


def _segment(text: str, ink: list[NDArray[np.float64]]) -> tuple[str, Glyph] | str:
    """Token and strokes of a `.SEGMENT`, or why there are none."""
    words = text.split()
    label = _LABEL.search(text)
    if len(words) < 3 or words[0] != "CHARACTER" or label is None:
        return "not a character"
    name = re.sub(r"\\(.)", r"\1", label[1])
    if len(name) != 1:
        return "not one character"
    strokes: list[NDArray[np.float64]] = []
    for part in words[1].split(","):
        place = _PART.match(part)
        if place is None:
            return "odd delineation"
        first, begin, last, end = (
            None if group is None else int(group) for group in place.groups()
        )
        assert first is not None
        last = first if last is None else last
        if not first <= last < len(ink):
            return "names ink that is not there"
        for number in range(first, last + 1):
            points = ink[number]
            low = begin if number == first and begin is not None else 0
            high = len(points) - 1
            if number == last and end is not None:
                high = end
            elif begin is not None and place[3] is None:
                high = begin
            if points.shape[1] and len(points[low : high + 1]):
                strokes.append(points[low : high + 1])
    if not strokes:
        return "without ink"
    return _SIGNS.get(name, name), tuple(strokes)
