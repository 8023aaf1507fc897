"""Output of written expressions: SVG, InkML with MathML as CROHME has it, and packages of many."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from pydantic import BaseModel, ConfigDict

from hmer.errors import HmerError, InkError
from hmer.files import atomic_file, atomic_folder
from hmer.ink.inkml import InkDocument, read_inkml, write_inkml
from hmer.ink.strokes import Ink
from hmer.latex.alignment import place_symbols
from hmer.latex.dialect import normalise
from hmer.latex.mathml import named_mathml
from hmer.synthesis.base import Written, numbered
from hmer.synthesis.generators import Generators

STEPS = 1000
"""Device units per symbol unit: coordinates are whole numbers, as those of a tablet."""


def to_inkml(written: Written, writer: str, name: str = "") -> bytes:
    """The expression with LaTeX, MathML, and for every symbol a trace group that names it.

    `name` identifies the recording.
    """
    math = named_mathml(written.tokens)
    symbols = sorted(written.ink.symbols, key=lambda symbol: symbol.place or 0)
    names = {} if math is None else math.names
    document = InkDocument(
        replace(written.ink, symbols=tuple(symbols)).mapped(_whole),
        " ".join(written.tokens),
        writer=writer,
        ui=name or None,
        mathml=None if math is None else math.xml,
        symbol_ids=tuple(names.get(-1 if s.place is None else s.place, "") for s in symbols),
    )
    return write_inkml(document)


def _whole(points: np.ndarray) -> np.ndarray:
    return np.asarray(np.rint(points * np.float32(STEPS)), np.float32)


def contradiction(data: bytes, written: Written, dialect: str = "wap") -> str | None:
    """What a file of `to_inkml` says otherwise than `written` when it is read; None if nothing."""
    try:
        document = read_inkml(data, "the file")
        tokens = normalise(document.latex, dialect)
    except HmerError as error:
        return str(error)
    if tokens != written.tokens:
        return "the caption reads otherwise"
    placed = place_symbols(document.ink, document.symbol_ids, document.mathml, tokens)
    if placed.problem is not None:
        return placed.problem
    found, meant = (
        {symbol.place: (symbol.token, symbol.strokes) for symbol in ink.symbols}
        for ink in (placed.ink, written.ink)
    )
    if found != meant:
        return "the symbols stand elsewhere"
    same = len(placed.ink.strokes) == len(written.ink.strokes) and all(
        len(one) == len(other) and np.abs(one - other * STEPS).max() <= 0.51
        for one, other in zip(placed.ink.strokes, written.ink.strokes, strict=True)
    )
    return None if same else "the strokes run elsewhere"


def to_svg(ink: Ink, unit: float = 40.0, pen: float = 0.1, margin: float = 0.25) -> bytes:
    """The ink as SVG (UTF-8): one polyline per stroke, grouped by symbol with its token as title.

    Ink, pen and margin are in symbol units, of `unit` pixels.

    Raises:
        InkError: there is no point.
    """
    if not any(len(stroke) for stroke in ink.strokes):
        raise InkError("ink without points cannot be drawn")
    left, top, right, bottom = ink.bounds()
    width, height = right - left + 2 * margin, bottom - top + 2 * margin
    root = ElementTree.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"{left - margin:.3f} {top - margin:.3f} {width:.3f} {height:.3f}",
            "width": f"{width * unit:.0f}",
            "height": f"{height * unit:.0f}",
            "fill": "none",
            "stroke": "black",
            "stroke-width": f"{pen:g}",
            "stroke-linecap": "round",
            "stroke-linejoin": "round",
        },
    )
    rest = set(range(len(ink.strokes)))
    for symbol in ink.symbols:
        group = ElementTree.SubElement(root, "g")
        ElementTree.SubElement(group, "title").text = symbol.token
        for number in symbol.strokes:
            _stroke(group, ink, number)
            rest.discard(number)
    for number in sorted(rest):
        _stroke(root, ink, number)
    ElementTree.indent(root)
    data: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return data


def _stroke(parent: ElementTree.Element, ink: Ink, number: int) -> None:
    points = ink.strokes[number].tolist()
    if len(points) == 1:  # a line of no length, drawn as a dot by its round ends
        points = points * 2
    text = " ".join(f"{x:.3f},{y:.3f}" for x, y in points)
    ElementTree.SubElement(parent, "polyline", {"points": text})


Add = Callable[[str, bytes], None]
"""Puts a file into the package: its path with forward slashes, and its content."""

_ENDS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".zip")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that a ZIP archive can tell


def check_package(path: Path) -> None:
    """Refuse a name that says no kind of package, and a folder that has something in it.

    Raises:
        HmerError: it is such a path.
    """
    if path.suffix and not path.name.lower().endswith(_ENDS):
        raise HmerError(f"{path}: name a folder, or end the name in {', '.join(_ENDS)}")
    if path.is_dir() and (path.suffix or any(path.iterdir())):
        raise HmerError(f"{path}: there is a folder with something in it; choose another name")


@contextmanager
def new_package(path: Path) -> Iterator[Add]:
    """A package, or a folder, that appears under its name when the block ends without an error.

    Raises:
        HmerError: it cannot be written, or what is there is not to be replaced.
    """
    check_package(path)
    name = path.name.lower()
    whole = atomic_file if name.endswith(_ENDS) else atomic_folder
    try:
        with whole(path) as part, _opened(part, name) as add:
            yield add
    except OSError as error:
        raise HmerError(f"{path}: cannot be written ({error.strerror or error})") from error


@contextmanager
def _opened(part: Path, name: str) -> Iterator[Add]:
    """What adds to the package `part`, whose kind its final `name` tells; of no time, no owner."""

    def zipped(file: str, data: bytes) -> None:
        info = zipfile.ZipInfo(file, _EPOCH)
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o100644 << 16
        archive.writestr(info, data)

    def tarred(file: str, data: bytes) -> None:
        info = tarfile.TarInfo(file)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))

    def stored(file: str, data: bytes) -> None:
        (part / file).parent.mkdir(parents=True, exist_ok=True)
        (part / file).write_bytes(data)

    if not name.endswith(_ENDS):
        yield stored
    elif name.endswith(".zip"):
        with zipfile.ZipFile(part, "w") as archive:
            yield zipped
    elif name.endswith("gz"):  # by tarfile alone it would hold the time
        with (
            part.open("wb") as raw,
            gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w") as tar,
        ):
            yield tarred
    else:
        with tarfile.open(part, "w:xz" if name.endswith("xz") else "w") as tar:
            yield tarred


FOLDER = "written"
SUMMARY = f"{FOLDER}/summary.json"
"""Where the account lies in a package."""

FONT = "font"
"""Whose hand it is where the vector font writes."""


class CollectionSummary(BaseModel):
    """What was written, and what was not.

    Attributes:
        by_generator: expressions by the generator that made them.
        captions: different ones.
        new_captions: those that the training split does not have.
        excluded: how often a caption came up that must not be written.
        contradictory: expressions left out, since the file read back says something else.
        from_font: symbols that the glyph bank lacked, by token; the vector font wrote them.
        material: expressions of the training split that have ink.
        skipped: those whose symbols are unknown or contradict the caption.
    """

    model_config = ConfigDict(frozen=True)

    seed: int
    by_generator: dict[str, int]
    captions: int
    new_captions: int
    excluded: int
    contradictory: dict[str, int]
    from_font: dict[str, int]
    material: int
    skipped: int | None


def write_collection(
    generators: Generators,
    captions: Sequence[Sequence[str]],
    writers: Sequence[str],
    count: int,
    seed: int,
    out: Path,
    dialect: str = "wap",
) -> CollectionSummary:
    """Write expressions 0 to `count - 1` into a folder or package, each checked by reading it.

    `captions` and `writers` are those of the training split; `seed` decides, with its number, each
    expression.

    Raises:
        HmerError: `out` cannot be written, or the generators come to nothing.
    """
    kinds: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    found: set[str] = set()
    with new_package(out) as add:
        for number in range(count):
            written = numbered(generators, seed, number)
            name = f"{FOLDER}-{seed}-{number:07d}"
            hand = writers[written.base] if written.base is not None else written.hand or FONT
            data = to_inkml(written, hand, name)
            problem = contradiction(data, written, dialect)
            if problem is None:
                add(f"{FOLDER}/{written.kind}/{name}.inkml", data)
                kinds[written.kind] += 1
                found.add(" ".join(written.tokens))
            else:
                wrong[problem] += 1
        summary = CollectionSummary(
            seed=seed,
            by_generator=dict(sorted(kinds.items())),
            captions=len(found),
            new_captions=len(found - {" ".join(tokens) for tokens in captions}),
            excluded=generators.leakage.excluded,
            contradictory=dict(sorted(wrong.items())),
            from_font=generators.from_font(),
            material=len(captions),
            skipped=generators.skipped,
        )
        add(SUMMARY, (summary.model_dump_json(indent=2) + "\n").encode())
    return summary
