"""The public API: load a trained recogniser, read a picture or ink.

>>> import hmer
>>> recognizer = hmer.Recognizer.load()                             # doctest: +SKIP
>>> recognizer("formula.png").compact                               # doctest: +SKIP
'\\frac{a}{b}'
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hmer.decoding.bidirectional import DecodingConfig, Reading, search
from hmer.decoding.lone_symbol import LoneSymbols
from hmer.decoding.step import Floats, Numbers, Step
from hmer.errors import HmerError, InkError, LatexError
from hmer.export.runtime import OnnxReader, graphs_in, load_graphs
from hmer.extra import require
from hmer.ink.affine import Affine, mapped, moved, scaled, turned
from hmer.ink.canvas import PAPER, inked_cells, on_canvas
from hmer.ink.components import components
from hmer.ink.fit import fitted
from hmer.ink.images import ink_mask
from hmer.ink.inkml import read_inkml
from hmer.ink.page import expression_boxes, expressions_in, expressions_on
from hmer.ink.picture import (
    BlankError,
    Writing,
    first_writing,
    trimmed,
    warn_of_further,
    written_pages,
)
from hmer.ink.raster import content, looks_like_xml
from hmer.ink.render import RenderConfig, render
from hmer.ink.scale import normalise
from hmer.ink.strokes import Ink, Points
from hmer.ink.svg import looks_like_svg, read_svg
from hmer.latex.tree import COMMANDS, LIMITS, SCRIPTS, is_symbol, parse, symbols
from hmer.latex.vocabulary import Vocabulary
from hmer.models.about import About, Calibration
from hmer.recognition import Alternatives, Box, ReadSymbol, Recognition
from hmer.recognition_symbols import symbols_of_ink, symbols_of_picture

if TYPE_CHECKING:
    from hmer.models.base import Recogniser
    from hmer.models.step import TorchReader

Source = str | Path | bytes | BinaryIO | Image.Image | NDArray[np.generic] | Ink
"""A file (picture, InkML, SVG) by its name, content or open; a Pillow image; an array of a picture,
ink dark on bright or bright on dark (`hmer.ink.raster.from_array`); or ink in any unit."""

SHIPPED = Path(__file__).parent / "shipped/"  # the slash keeps it out of the stages' dependencies
"""Folder of the recogniser that comes with the package; MODEL_CARD.md says what it can do."""

_INK_CELL = 8
"""Pixels: the length of ink is measured by the cells of this side that it passes."""

FEWEST, PER_UNIT = 8, 1.0
"""Tokens that a reading may have: so many, and more for every symbol unit of ink. No training
expression of CROHME has more than 4 and 1.0 per unit (of 3099 looked at); without a bound, repeated
strokes end in hundreds of tokens."""

APART = ("!", ":", ";", *(rf"\{name}" for name in
         ("cdots", "ldots", "vdots", "ddots", "therefore", "because", "div")))  # fmt: skip
"""Symbols with dots that stand apart: ink of one connected piece is none of them. Alone, a dot of a
picture would be read as dots, and the bar of a `1` as an exclamation mark."""

UPSIDE_DOWN, ON_SIDE = (0.25, 2.0), (0.3, 4.0)
"""A picture whose reading has less than the first probability is read upside down, too, and a tall
one on its sides; what gives so many times the probability is taken. Of 140 drawn expressions of
dev-2013 95 are read rightly: 73 of them also when upside down, none is turned when upright. Of
48 wide ones of dev-2013 and val that are read rightly 40 are when on their side, and none of 37
tall ones is turned (with less than four times the probability 44, and two)."""

UNSURE_PAGE, SURER_PAGE = 0.5, 1.2
"""A page is read turned, too, if the mean confidence is below the first, or an expression on it was
turned; what has so many times the confidence of the page as it lies is taken."""

MAX_PIXELS = 2_000_000
"""Images larger than this after rescaling are refused."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A source at the recogniser's scale."""

    image: NDArray[np.uint8]
    """(H, W), ink 255 on 0."""
    back: Affine
    """From its pixels to those of the picture given."""
    ink: Ink | None = None
    """What was given, if it was ink."""
    drawn: Sequence[Points] = ()
    """Its strokes, in pixels of the image."""


class SourceError(InkError, TypeError):
    """Something that is no source."""


class Images(Step, Protocol):
    """A step of the search, with what the recogniser has made of the images (B)."""

    @property
    def attention(self) -> NDArray[np.float32] | None:
        """(B, h, w): the spatial attention map, where the recogniser has one."""
        ...

    @property
    def lone_symbol(self) -> Floats | None:
        """(B, 2, V): logits of single symbols, where the recogniser has a classifier of them."""
        ...

    def maps(self, tokens: Numbers) -> NDArray[np.float32]:
        """Where the decoder looks at each of the tokens (B, T): (B, T, h, w)."""
        ...

    def keep(self, rows: Numbers) -> Images:
        """The images `rows`, which may be one several times."""
        ...


class Reader(Protocol):
    """A recogniser, by whatever it computes."""

    stride: int
    """Pixels per cell; image sides must be multiples of it."""

    def encode(self, images: Floats) -> Images:
        """Images (B, 1, H, W), ink 1 on 0."""
        ...


class Recognizer:
    """A trained model, its vocabulary and its scale; may be used by several threads.

    Attributes:
        vocabulary: what it writes.
        render: the scale at which it reads.
        calibration: what is reported as confidence; None: the probability itself.
        unwritten: tokens that it never writes.

    Of `symbols` see `load`.
    """

    def __init__(
        self,
        model: Recogniser | OnnxReader | TorchReader,
        vocabulary: Vocabulary,
        render: RenderConfig,
        calibration: Calibration | None = None,
        symbols: Iterable[str] | None = None,
        unwritten: Iterable[str] = (),
    ) -> None:
        self.reader: Reader
        self._by_torch: TorchReader | None = None
        self._weights: Path | None = None
        if isinstance(model, OnnxReader):
            self.reader = model
        else:
            from hmer.models.step import TorchReader

            found = model if isinstance(model, TorchReader) else TorchReader(model)
            self.reader = self._by_torch = found
        self.vocabulary = vocabulary
        self.render = render
        self.calibration = calibration
        self.unwritten = tuple(unwritten)
        others = () if symbols is None else _others(symbols, vocabulary)
        self._banned = tuple(sorted({*others, *vocabulary.encode(self.unwritten)}))
        self._lone = LoneSymbols(vocabulary, self._banned)
        self._apart = frozenset(vocabulary.encode([one for one in APART if one in vocabulary]))

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        device: str = "auto",
        *,
        backend: Literal["auto", "onnx", "torch"] = "auto",
        symbols: Iterable[str] | None = None,
    ) -> Recognizer:
        """Load a model folder (model.safetensors with model.json) or its weights file.

        Also a folder that `hmer export` has written.

        Args:
            path: by default the recogniser that comes with the package.
            device: where it computes, as PyTorch names it; auto: on a GPU if there is one.
                onnxruntime computes on the CPU.
            backend: what computes. auto: onnxruntime where the folder has graphs for it and no
                GPU is wanted, else PyTorch.
            symbols: only these tokens are written; by default all. Braces come with script marks
                and commands that take groups.

        Raises:
            HmerError: the recogniser does not know the symbols; or it is missing, damaged, or not a
                recogniser, or a package is missing.
        """
        if str(path).startswith("models:"):
            raise HmerError(
                f"{path}: is in a registry; fetch it first, mlflow artifacts download "
                f"--artifact-uri {path} --dst-path FOLDER, and load the folder model in it"
            )
        folder = Path(path or SHIPPED)
        kind = graphs_in(folder)
        if kind != "exported":
            gpu = device not in ("auto", "cpu") or (device == "auto" and _gpu())
            ready = find_spec("onnxruntime") is not None
            if backend == "torch" or (backend == "auto" and (gpu or not (kind and ready))):
                by_torch, about = _torch_reader(folder, device)
                return cls._of(by_torch, about, symbols)
        reader, about = load_graphs(folder)
        found = cls._of(reader, about, symbols)
        found._weights = folder if kind == "beside" else None
        return found

    @classmethod
    def _of(
        cls, reader: OnnxReader | TorchReader, about: About, symbols: Iterable[str] | None
    ) -> Recognizer:
        return cls(
            reader, about.vocabulary, about.render, about.calibration, symbols, about.unwritten
        )

    @property
    def model(self) -> Recogniser:
        """The PyTorch module, in evaluation mode; loaded now if onnxruntime reads.

        Raises:
            HmerError: PyTorch is missing, or the recogniser is an exported one.
        """
        if self._by_torch is None:
            if self._weights is None:
                raise HmerError(
                    "an exported recogniser has no PyTorch module; use the model it was made from"
                )
            self._by_torch = _torch_reader(self._weights, "cpu")[0]
        return self._by_torch.model

    @property
    def stride(self) -> int:
        """Pixels of a cell of the maps."""
        return self.reader.stride

    @overload
    def __call__(self, source: Source, decoding: DecodingConfig | None = None) -> Recognition: ...

    @overload
    def __call__(
        self,
        source: list[Source] | tuple[Source, ...],
        decoding: DecodingConfig | None = None,
    ) -> list[Recognition]: ...

    def __call__(
        self,
        source: Source | list[Source] | tuple[Source, ...],
        decoding: DecodingConfig | None = None,
    ) -> Recognition | list[Recognition]:
        """`recognize` a source, or each of a list or tuple."""
        if isinstance(source, list | tuple):
            return [self.recognize(one, decoding) for one in source]
        return self.recognize(source, decoding)

    def prepare(self, source: Source) -> NDArray[np.uint8]:
        """The source as an image at the recogniser's scale: (H, W), ink 255 on 0.

        Raises:
            HmerError: it cannot be read, holds no ink, or is too large.
        """
        return self._prepared(source).image

    def _prepared(self, source: Source) -> Prepared:
        name, opened = _opened(source)
        with _named(name):
            if isinstance(opened, Ink):
                ready = self._drawn(opened)
            else:
                page = first_writing(opened, name)
                image, back = fitted(page.image, self.render)
                ready = Prepared(_bounded(image), _cut_from(page) @ back)
        count = len(expression_boxes(ready.image, self.render.unit))
        if count > 1:
            warnings.warn(
                f"{name}: there seem to be {count} expressions, and they are read as one; "
                "read_page reads each",
                stacklevel=3,
            )
        return ready

    def _drawn(self, ink: Ink, *, level: Ink | None = None) -> Prepared:
        """Ink, or what it is when `normalise`d, at scale."""
        level = level or normalise(ink)
        drawn = render(level, self.render.unit, self.render.pen, self.render.margin)
        strokes = [drawn.to_pixels(stroke) for stroke in level.strokes]
        return Prepared(_bounded(drawn.image), moved(0, 0), ink, strokes)

    def recognize(
        self, source: Source, decoding: DecodingConfig | None = None, *, attention: bool = False
    ) -> Recognition:
        """Read one expression. See `prepare` for what may go wrong.

        Blank paper is read as nothing, surely: no tokens, confidence 1.
        """
        try:
            ready = self._prepared(source)
        except BlankError:
            return NOTHING
        return self._read_one(ready, decoding, attention)[1]

    def read_page(
        self, source: Source, decoding: DecodingConfig | None = None, *, attention: bool = False
    ) -> list[Recognition]:
        """Read each expression on a page, from top to bottom and from left to right.

        Of a PDF all pages are read. `box` and `page` of each reading are where the expression is.
        See `prepare` for what may go wrong; there is nothing on blank paper.
        """
        name, opened = _opened(source)
        found = []
        with _named(name):
            if isinstance(opened, Ink):
                for ink in expressions_in(opened, self.render):
                    reading = self._read_as_it_is(self._drawn(ink), decoding, attention)
                    found.append(replace(reading, box=ink.bounds()))
                return found
            first = next(opened, None)
            if first is None:
                return []
            if not first.document:
                warn_of_further(first, name)
            for page in chain([first], opened if first.document else ()):
                found += self._read_expressions(page, decoding, attention)
        return found

    def _read_expressions(
        self, page: Writing, decoding: DecodingConfig | None, attention: bool
    ) -> list[Recognition]:
        """Read all on a page; as the page lies, or turned if it is read more surely so.

        Other ways are tried where some expression was turned, or hardly any can be read.
        """
        read = [(*self._read_one(one, decoding, attention), box) for one, box in self._parts(page)]
        found = [replace(best, box=box, page=page.page) for _, best, box in read]
        if all(best is plain for plain, best, _ in read) and _sure(found) >= UNSURE_PAGE:
            return found
        sure = SURER_PAGE * _sure([plain for plain, _, _ in read])
        for turns in (1, 2, 3):
            with suppress(InkError):  # as it does not lie, one expression may seem too large
                parts = self._parts(page, turns)
                if len(parts) == len(read) == 1:  # it was read so already
                    continue
                other = [
                    replace(self._read_as_it_is(one, decoding, attention), box=box, page=page.page)
                    for one, box in parts
                ]
                if _sure(other) > sure:
                    found, sure = other, _sure(other)
        return found

    def _parts(self, page: Writing, turns: int = 0) -> list[tuple[Prepared, Box]]:
        """Each expression of a page that is turned by right angles, and its box as it lies."""
        side, back = _turned(page.image, turns)
        return [
            (
                Prepared(_bounded(image), _cut_from(page) @ back @ inner),
                _placed(mapped(box, back), page),
            )
            for image, box, inner in expressions_on(side, self.render)
        ]

    def _read_one(
        self, ready: Prepared, decoding: DecodingConfig | None, attention: bool
    ) -> tuple[Recognition, Recognition]:
        """Read an expression: as it is, and turned if it is a picture that cannot be read so."""
        found = self._read_as_it_is(ready, decoding, attention)
        if ready.ink:
            return found, found
        best, sure = found, found.probability
        height, width = ready.image.shape
        for turns, (unsure, surer) in ((2, UPSIDE_DOWN), (1, ON_SIDE), (3, ON_SIDE)):
            if sure < unsure and (turns == 2 or height >= width):
                other = self._read_as_it_is(self._upright(ready, turns), decoding, attention)
                if is_symbol(found.tokens) and is_symbol(other.tokens):
                    continue  # nothing tells how a symbol alone lies: `\vee` or `\wedge`
                if other.probability > surer * sure and other.confidence > best.confidence:
                    best = other
        return found, best

    def _read_as_it_is(
        self, ready: Prepared, decoding: DecodingConfig | None, attention: bool
    ) -> Recognition:
        found = self.read([ready.image], decoding, attention=attention)[0]
        locate = partial(self._located, ready, found.tokens, decoding or DecodingConfig())
        return replace(found, ink=ready.ink, locate=locate)

    def _upright(self, ready: Prepared, turns: int) -> Prepared:
        """A picture turned by so many right angles, counterclockwise."""
        side, back = _turned(ready.image, turns)
        cut, inner = trimmed(side)
        image, shrunk = fitted(cut, self.render)
        return Prepared(image, ready.back @ back @ inner @ shrunk)

    def read(
        self,
        images: Sequence[NDArray[np.uint8]],
        decoding: DecodingConfig | None = None,
        *,
        attention: bool = False,
        shape: tuple[int, int] | None = None,
    ) -> list[Recognition]:
        """Read prepared images in one batch.

        Args:
            images: from `prepare`, or drawn at the recogniser's scale.
            decoding: how to search; by default beam 10 from both ends.
            attention: also compute the decoder's attention for the best reading.
            shape: the images' room on the canvas; by default the smallest that holds all images.
        """
        if not images:
            return []
        stride = self.stride
        height, width = shape or tuple(max(image.shape[i] for image in images) for i in (0, 1))
        height, width = (-(-(side + PAPER) // stride) * stride for side in (height, width))
        canvas = on_canvas(images, height, width)
        encoded = self.reader.encode(canvas)
        words, config = self.vocabulary, decoding or DecodingConfig()
        found = search(
            encoded, len(images), config,
            sos=words.sos, eos=words.eos, pad=words.pad, banned=self._banned,
            limits=self._limits(canvas),
        )  # fmt: skip
        if not all(found):
            raise HmerError("the model gives no reading at all: its weights are damaged")
        found = [self._something(row) for row in found]
        rivals = [len(row) > 1 for row in found]
        logits = encoded.lone_symbol
        if logits is not None:
            found = [self._lone.mixed(row, said) for row, said in zip(found, logits, strict=True)]
        found = [self._fitting(image, row) for image, row in zip(images, found, strict=True)]
        spatial = encoded.attention
        maps = encoded.maps(self._inputs([row[0] for row in found])) if attention else None
        return [
            self._recognition(
                image,
                row,
                rivals[index],
                # Fitted on expressions; of single symbols the mixture is nearer to the truth.
                None if logits is not None and row[0].tokens in self._lone else self.calibration,
                config,
                None if spatial is None else spatial[index],
                None if maps is None else maps[index],
            )
            for index, (image, row) in enumerate(zip(images, found, strict=True))
        ]

    def _something(self, readings: list[Reading]) -> list[Reading]:
        """The readings without the empty one, where another is LaTeX.

        Smoothed labels make it likelier than any long reading that is unsure (Stahlberg and Byrne,
        2019, "On NMT search errors and model errors").
        """
        some = [one for one in readings if one.tokens]
        if len(some) < len(readings) and any(_parses(self._words(one)) for one in some):
            return some
        return readings

    def _fitting(self, image: NDArray[np.uint8], readings: list[Reading]) -> list[Reading]:
        """The readings without those `APART` of ink that is one piece; all if no other is left."""
        if self._apart.isdisjoint(readings[0].tokens) or len(components(ink_mask(image)).boxes) > 1:
            return readings
        return [one for one in readings if self._apart.isdisjoint(one.tokens)] or readings

    def on_ink(self, found: Recognition, ink: Ink) -> Recognition:
        """What was read of a drawing of normalised ink, at `render`, as the reading of that ink."""
        ready = self._drawn(ink, level=ink)
        locate = partial(self._located, ready, found.tokens, DecodingConfig())
        return replace(found, ink=ink, locate=locate)

    def _looked(
        self, image: NDArray[np.uint8], tokens: Sequence[str], decoding: DecodingConfig
    ) -> NDArray[np.float32]:
        """Where the decoder looks for each token: (n, h, w), the mean of the directions.

        One look back at the picture, for what is asked of few readings: the search keeps no
        attention.
        """
        stride, words = self.stride, self.vocabulary
        height, width = (-(-side // stride) for side in image.shape)
        paper = -(-PAPER // stride)
        ids = words.encode(tokens)
        inputs = [[words.sos, *ids], [words.eos, *reversed(ids)]][: 1 + decoding.both_directions]
        canvas = on_canvas([image], (height + paper) * stride, (width + paper) * stride)
        encoded = self.reader.encode(canvas).keep(np.zeros(len(inputs), np.int64))
        maps = encoded.maps(np.array(inputs, np.int64))[:, : len(ids), :height, :width]
        if decoding.both_directions:
            maps[1] = maps[1, ::-1].copy()
        return np.asarray(maps.mean(axis=0), np.float32)

    def _located(
        self, ready: Prepared, tokens: Sequence[str], decoding: DecodingConfig
    ) -> tuple[ReadSymbol, ...]:
        """The tokens that are written, with their ink."""
        places = _places(tokens)
        if not places:
            return ()
        maps = self._looked(ready.image, tokens, decoding)
        if ready.ink is None:
            return symbols_of_picture(tokens, places, maps, self.stride, ready.image, ready.back)
        return symbols_of_ink(tokens, places, maps, self.stride, ready.ink, ready.drawn)

    def _limits(self, canvas: Floats) -> list[int]:
        """Tokens that each of the images (B, 1, H, W) can hold: bounded by its length of ink."""
        units = inked_cells(canvas, _INK_CELL) * _INK_CELL / self.render.unit
        return [FEWEST + math.ceil(PER_UNIT * unit) for unit in units.tolist()]

    def _inputs(self, best: Sequence[Reading]) -> Numbers:
        """The decoder's inputs (B, T) for readings from left to right."""
        words = self.vocabulary
        longest = max(len(reading.tokens) for reading in best) + 1
        inputs = np.full((len(best), longest), words.pad, np.int64)
        for row, reading in enumerate(best):
            inputs[row, : len(reading.tokens) + 1] = [words.sos, *reading.tokens]
        return inputs

    def _recognition(
        self,
        image: NDArray[np.uint8],
        readings: Sequence[Reading],
        rivals: bool,
        calibration: Calibration | None,
        config: DecodingConfig,
        spatial: NDArray[np.float32] | None,
        maps: NDArray[np.float32] | None,
    ) -> Recognition:
        """One row of a batch; maps are cut to the image's own cells.

        `rivals`: whether the search has found more than one reading. `calibration` of what it says.
        """
        if not image.any():
            return Recognition((), 1.0, image, None, None)
        height, width = (-(-side // self.stride) for side in image.shape)
        best, *others = readings
        tokens, total = self._words(best), sum(one.confidence for one in readings)
        if not rivals:  # a greedy search knows of none: even odds
            total *= 2
        ready = Prepared(image, moved(0, 0))
        return Recognition(
            tokens=tokens,
            confidence=_confidence(best, len(tokens), total, calibration),
            probability=best.confidence,
            share=best.confidence / total if total else 1.0,
            image=image,
            spatial_attention=None if spatial is None else spatial[:height, :width],
            attention=None if maps is None else maps[: len(best.tokens) + 1, :height, :width],
            locate=partial(self._located, ready, tokens, config),
            others=partial(self._alternatives, others, len(tokens), total, calibration),
        )

    def _alternatives(
        self,
        readings: Sequence[Reading],
        tokens: int,
        total: float,
        calibration: Calibration | None,
    ) -> Alternatives:
        """Those of the readings that are LaTeX."""
        found = (
            (self._words(one), _confidence(one, tokens, total, calibration)) for one in readings
        )
        return tuple(one for one in found if _parses(one[0]))

    def _words(self, reading: Reading) -> tuple[str, ...]:
        return tuple(self.vocabulary.decode(reading.tokens))


def _confidence(
    reading: Reading, tokens: int, total: float, calibration: Calibration | None
) -> float:
    """Of a reading; `tokens` of the best one, so that their order is that of the search.

    `total` is what all readings have between them.
    """
    found = reading.confidence
    if calibration is None or not total:
        return float(found)
    return calibration.confidence(found, tokens, found / total)


NOTHING = Recognition((), 1.0, np.zeros((1, 1), np.uint8), None, None)
"""What is read on blank paper, surely."""


def _opened(source: Source) -> tuple[str, Ink | Iterator[Writing]]:
    """What a source is called, and its ink, or its pages with ink on them.

    What a file is, it says itself, whatever its name.
    """
    if isinstance(source, Ink):
        return "ink", source
    if isinstance(source, Image.Image | np.ndarray):
        return "picture", written_pages(source)
    data: object
    if isinstance(source, str | Path):
        data, name = content(Path(source)), str(source)
    elif isinstance(source, bytes | bytearray | memoryview):
        data, name = bytes(source), "picture"
    elif hasattr(source, "read"):
        data, name = source.read(), str(getattr(source, "name", "file"))
    else:
        raise SourceError(
            f"a {type(source).__name__} cannot be read; give a file's name, its bytes, an open "
            "file, a PIL.Image, an array of a picture, or Ink"
        )
    if not isinstance(data, bytes):
        raise SourceError(f"{name}: opened as text; open it in binary mode, 'rb'")
    with _named(name):
        if looks_like_xml(data):
            return name, read_inkml(data, name).ink
        if looks_like_svg(data):
            return name, read_svg(data, name)
    return name, written_pages(data, name)


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Errors about ink name the source."""
    try:
        yield
    except InkError as error:
        if name in str(error):
            raise
        raise type(error)(f"{name}: {error}") from None


def _bounded(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if image.size > MAX_PIXELS:
        raise InkError(
            f"the expression is {image.shape[1]} x {image.shape[0]} pixels at the "
            f"recogniser's scale, more than {MAX_PIXELS} in all; cut it into parts"
        )
    return image


def _cut_from(page: Writing) -> Affine:
    """From the pixels of the ink that was cut out to those of the picture."""
    return scaled(page.scale, page.scale) @ moved(page.left, page.top)


def _turned(image: NDArray[np.uint8], turns: int) -> tuple[NDArray[np.uint8], Affine]:
    """An image turned by right angles, counterclockwise; and the map from its pixels back."""
    side = np.rot90(image, turns)
    (height, width), (tall, wide) = image.shape, side.shape
    # Both centres are the same point.
    back = moved(width / 2, height / 2) @ turned(90 * turns) @ moved(-wide / 2, -tall / 2)
    return side, back


def _sure(found: Sequence[Recognition]) -> float:
    """The mean confidence of readings."""
    return sum(reading.confidence for reading in found) / len(found)


def _placed(box: Box, page: Writing) -> Box:
    """A box on the ink of a page as one on the page itself."""
    left, top, right, bottom = (
        round((side + offset) * page.scale, 1)
        for side, offset in zip(box, (page.left, page.top) * 2, strict=True)
    )
    return left, top, right, bottom


def _torch_reader(path: Path, device: str) -> tuple[TorchReader, About]:
    """A recogniser by PyTorch, and how it reads."""
    torch = require("torch", extra="train")
    from hmer.models.checkpoint import load_recogniser
    from hmer.models.step import TorchReader

    saved = load_recogniser(path)
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    reader = TorchReader(saved.model.for_reading().to(device))
    return reader, saved.reads


def _others(symbols: Iterable[str], words: Vocabulary) -> tuple[int, ...]:
    """The numbers of all tokens but these, and what they cannot be written without."""
    chosen = set(symbols)
    if not chosen:
        raise HmerError("symbols: there are none to write; name some, or leave it out for all")
    if unknown := words.unknown(sorted(chosen)):
        raise HmerError(
            f"symbols that the recogniser does not know: {' '.join(unknown)}; it writes "
            f"{' '.join(words.tokens)}"
        )
    if not chosen.isdisjoint((*SCRIPTS, *COMMANDS)):
        chosen |= {"{", "}"}
    return tuple(words.encode(token for token in words.tokens if token not in chosen))


def _gpu() -> bool:
    """Whether PyTorch is there, and a GPU; it is loaded only where there may be one."""
    if not Path("/dev/nvidiactl").exists() or find_spec("torch") is None:
        return False
    return bool(require("torch").cuda.is_available())


def _places(tokens: Sequence[str]) -> list[int]:
    """Which tokens are written; of what cannot be parsed, all that never are structure only."""
    try:
        return [node.start for node in symbols(parse(tokens))]
    except LatexError:
        structure = ("{", "}", LIMITS, *SCRIPTS)
        return [place for place, token in enumerate(tokens) if token not in structure]


def _parses(tokens: tuple[str, ...]) -> bool:
    try:
        parse(tokens)
    except LatexError:
        return False
    return True
