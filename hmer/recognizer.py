"""The public API: load a trained recogniser, read a picture or ink.

>>> recognizer = Recognizer.load()                                  # doctest: +SKIP
>>> recognizer.recognize("formula.png").latex                       # doctest: +SKIP
'\\frac { a } { b }'
"""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional

from hmer.data.canvas import stack
from hmer.decoding.bidirectional import DecodingConfig, Reading, search
from hmer.decoding.linear import use_fast_linear
from hmer.decoding.step import MemoryStep
from hmer.errors import HmerError, InkError, LatexError
from hmer.export.runtime import is_exported, load_exported
from hmer.ink.fit import fit_picture
from hmer.ink.inkml import read_inkml
from hmer.ink.picture import BlankError, load_picture, trimmed
from hmer.ink.raster import content, looks_like_xml
from hmer.ink.render import RenderConfig, render
from hmer.ink.rows import expression_rows
from hmer.ink.scale import normalise
from hmer.ink.strokes import Ink
from hmer.latex.grammar import caption_grammar
from hmer.latex.parse import parse
from hmer.latex.vocabulary import Vocabulary
from hmer.models.base import Encoded, Recogniser
from hmer.models.checkpoint import load_recogniser
from hmer.models.common.ink_cells import INK_THRESHOLD

Source = str | Path | bytes | BinaryIO | Image.Image | NDArray[np.generic] | Ink
"""A file (picture or InkML) by its name, content or open; a Pillow image; an array of a picture,
ink dark on bright or bright on dark (`hmer.ink.raster.from_array`); or ink in any unit."""

SHIPPED = Path(__file__).parent / "shipped/"  # the slash keeps it out of the stages' dependencies
"""Folder of the recogniser that comes with the package; MODEL_CARD.md says what it can do."""

PAPER = 32
"""Pixels of blank paper to the right of and below an image, whatever the batch: as far as a cell
sees. With less, the reading would depend on what else is in the batch."""

_INK_CELL = 8
"""Pixels: the length of ink is measured by the cells of this side that it passes."""

FEWEST, PER_UNIT = 8, 1.0
"""Tokens that a reading may have: so many, and more for every symbol unit of ink. No training
expression of CROHME has more than 4 and 1.0 per unit (of 3099 looked at); without a bound, repeated
strokes end in hundreds of tokens."""

UNSURE, SURER = 0.3, 4.0
"""A tall picture is read turned by 90 and 270 degrees, too, if its confidence is below the first,
and so read if that gives so many times the confidence. Upside down cannot be told so: of nine
expressions read rightly, two gave more confidence turned by 180 degrees."""

MAX_PIXELS = 2_000_000
"""Images larger than this after rescaling are refused."""


@dataclass(frozen=True)
class Recognition:
    """What was read."""

    tokens: tuple[str, ...]
    confidence: float
    """Probability of the whole expression, in [0, 1]."""
    alternatives: tuple[tuple[tuple[str, ...], float], ...]
    """Further readings that are LaTeX, with their confidence, the most probable first."""
    image: NDArray[np.uint8]
    """(H, W), ink 255 on 0: the picture at the recogniser's scale."""
    spatial_attention: NDArray[np.float32] | None
    """(h, w): the attention network's map over the cells."""
    attention: NDArray[np.float32] | None
    """(n + 1, h, w): where the decoder looked for each token and for the stop, if asked for."""

    @property
    def latex(self) -> str:
        """The tokens, separated by blanks."""
        return " ".join(self.tokens)


class SourceError(InkError, TypeError):
    """Something that is no source."""


class Recognizer:
    """A trained model, its vocabulary and its scale."""

    def __init__(self, model: Recogniser, vocabulary: Vocabulary, render: RenderConfig) -> None:
        # A copy that shares the weights: the caller's module stays as it is.
        shared: dict[int, object] = {id(t): t for t in (*model.parameters(), *model.buffers())}
        self.model = (copy.deepcopy(model, shared) if shared else model).eval()
        use_fast_linear(self.model)
        self.vocabulary = vocabulary
        self.render = render

    @classmethod
    def load(cls, path: str | Path | None = None, device: str = "auto") -> Recognizer:
        """Load a model folder (model.safetensors with model.json) or its weights file.

        Also a folder that `hmer export` has written.

        Args:
            path: by default the recogniser that comes with the package.
            device: where it computes, as PyTorch names it; auto: on a GPU if there is one. What
                has been exported computes on the CPU.

        Raises:
            HmerError: it is missing, damaged, or not a recogniser.
        """
        weights = Path(path or SHIPPED)
        if is_exported(weights):
            return cls(*load_exported(weights))
        found = load_recogniser(weights)
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        return cls(found.model.for_reading().to(device), found.vocabulary, found.render)

    def prepare(self, source: Source) -> NDArray[np.uint8]:
        """The source as an image at the recogniser's scale: (H, W), ink 255 on 0.

        Raises:
            HmerError: it cannot be read, holds no ink, or is too large.
        """
        if isinstance(source, str | Path):
            return self._prepared(content(Path(source)), str(source))
        if isinstance(source, bytes | bytearray | memoryview):
            return self._prepared(bytes(source), "picture")
        if isinstance(source, Image.Image | np.ndarray):
            return self._at_scale(load_picture(source), "picture")
        if isinstance(source, Ink):
            return self._at_scale(source, "ink")
        if hasattr(source, "read"):
            data, name = source.read(), str(getattr(source, "name", "file"))
            if isinstance(data, bytes):
                return self._prepared(data, name)
            raise SourceError(f"{name}: opened as text; open it in binary mode, 'rb'")
        raise SourceError(
            f"a {type(source).__name__} cannot be read; give a file's name, its bytes, an open "
            "file, a PIL.Image, an array of a picture, or Ink"
        )

    def _prepared(self, data: bytes, name: str) -> NDArray[np.uint8]:
        """A file's content at scale: what it is, it says itself, whatever its name."""
        try:
            if looks_like_xml(data):
                return self._at_scale(read_inkml(data, name).ink, name)
            return self._at_scale(load_picture(data, name), name)
        except InkError as error:
            if name in str(error):
                raise
            raise type(error)(f"{name}: {error}") from None

    def _at_scale(self, source: NDArray[np.uint8] | Ink, name: str) -> NDArray[np.uint8]:
        """Ink, or ink on nothing; warns where it seems to be several expressions."""
        style = self.render
        if isinstance(source, Ink):
            image = render(normalise(source), style.unit, style.pen, style.margin).image
        else:
            image = fit_picture(source, style)
        if image.size > MAX_PIXELS:
            raise InkError(
                f"the expression is {image.shape[1]} x {image.shape[0]} pixels at the "
                f"recogniser's scale, more than {MAX_PIXELS} in all; cut it into parts"
            )
        rows = len(expression_rows(image, style.unit))
        if rows > 1:
            warnings.warn(
                f"{name}: {rows} expressions seem to stand one above the other, and are read as "
                "one; cut it into parts",
                stacklevel=2,
            )
        return image

    def recognize(
        self, source: Source, decoding: DecodingConfig | None = None, *, attention: bool = False
    ) -> Recognition:
        """Read one expression. See `prepare` for what may go wrong.

        Blank paper is read as nothing, surely: no tokens, confidence 1.
        """
        try:
            image = self.prepare(source)
        except BlankError:
            return Recognition((), 1.0, (), np.zeros((1, 1), np.uint8), None, None)
        found = self.read([image], decoding, attention=attention)[0]
        if isinstance(source, Ink) or found.confidence > UNSURE or image.shape[0] < image.shape[1]:
            return found
        # A tall picture that cannot be read may lie on its side.
        sides = [fit_picture(trimmed(np.rot90(image, turns)), self.render) for turns in (1, 3)]
        turned = max(
            (self.read([side], decoding, attention=attention)[0] for side in sides),
            key=lambda reading: reading.confidence,
        )
        return turned if turned.confidence > SURER * found.confidence else found

    @torch.inference_mode()
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
        stride = self.model.stride
        height, width = shape or tuple(max(image.shape[i] for image in images) for i in (0, 1))
        height, width = (-(-(side + PAPER) // stride) * stride for side in (height, width))
        batch = stack(images, height, width)
        # An exported model has no parameters; it is on the CPU, as the batch is.
        batch = batch.to(next((p.device for p in self.model.parameters()), batch.device))
        encoded = self.model.encode(batch)
        words, config = self.vocabulary, decoding or DecodingConfig()
        found = search(
            MemoryStep(self.model.step, encoded), len(images), config,
            sos=words.sos, eos=words.eos, pad=words.pad, device=batch.device,
            limits=self._limits(batch),
            constraints=caption_grammar(words) if config.grammar else None,
        )  # fmt: skip
        if not all(found):
            raise HmerError("the model gives no reading at all: its weights are damaged")
        maps = self._attention(encoded, [row[0] for row in found]) if attention else None
        return [
            self._recognition(image, row, encoded, maps, index)
            for index, (image, row) in enumerate(zip(images, found, strict=True))
        ]

    def _limits(self, batch: Tensor) -> list[int]:
        """Tokens that each of the images (B, 1, H, W) can hold: bounded by its length of ink."""
        cells = functional.max_pool2d(batch, _INK_CELL).gt(INK_THRESHOLD).flatten(1).sum(dim=1)
        units = cells.cpu().double() * _INK_CELL / self.render.unit
        return [FEWEST + math.ceil(PER_UNIT * unit) for unit in units.tolist()]

    def _attention(self, encoded: Encoded, best: Sequence[Reading]) -> NDArray[np.float32]:
        """Decoder attention (B, T, h, w) for the best readings, from left to right."""
        words = self.vocabulary
        longest = max(len(reading.tokens) for reading in best) + 1
        inputs = torch.full((len(best), longest), words.pad)
        for row, reading in enumerate(best):
            inputs[row, : len(reading.tokens) + 1] = torch.tensor([words.sos, *reading.tokens])
        maps = self.model.attention_maps(inputs.to(encoded.features.device), encoded)
        return maps.float().cpu().numpy()

    def _recognition(
        self,
        image: NDArray[np.uint8],
        readings: Sequence[Reading],
        encoded: Encoded,
        maps: NDArray[np.float32] | None,
        index: int,
    ) -> Recognition:
        """One row of a batch; maps are cut to the image's own cells."""
        if not image.any():
            return Recognition((), 1.0, (), image, None, None)
        stride = self.model.stride
        own = tuple(-(-side // stride) for side in image.shape)
        best, *others = readings
        spatial = encoded.attention
        return Recognition(
            tokens=self._words(best),
            confidence=best.confidence,
            alternatives=tuple(
                (words, o.confidence) for o in others if _parses(words := self._words(o))
            ),
            image=image,
            spatial_attention=None
            if spatial is None
            else spatial[index, : own[0], : own[1]].float().cpu().numpy(),
            attention=None
            if maps is None
            else maps[index, : len(best.tokens) + 1, : own[0], : own[1]],
        )

    def _words(self, reading: Reading) -> tuple[str, ...]:
        return tuple(self.vocabulary.decode(reading.tokens))


def _parses(tokens: tuple[str, ...]) -> bool:
    try:
        parse(tokens)
    except LatexError:
        return False
    return True
