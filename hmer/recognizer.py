"""The public API: load a trained recogniser, read a picture or ink.

>>> recognizer = Recognizer.load()                                  # doctest: +SKIP
>>> recognizer.recognize("formula.png").latex                       # doctest: +SKIP
'\\frac { a } { b }'
"""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
from hmer.errors import HmerError, InkError
from hmer.export.runtime import is_exported, load_exported
from hmer.ink.inkml import read_inkml
from hmer.ink.picture import FORMATS, MAX_SOURCE_PIXELS, load_picture, rescale_picture
from hmer.ink.render import RenderConfig, render
from hmer.ink.scale import normalise
from hmer.ink.strokes import Ink
from hmer.latex.grammar import caption_grammar
from hmer.latex.vocabulary import Vocabulary
from hmer.models.cells import INK_THRESHOLD
from hmer.models.interface import Encoded, Recogniser
from hmer.models.saved import load_recogniser

Source = str | Path | bytes | NDArray[np.uint8] | Ink
"""A file (picture or InkML), the bytes of a picture, a prepared image, or ink in any unit."""

SHIPPED = Path(__file__).parent / "shipped/"  # the slash keeps it out of the stages' dependencies
"""Folder of the recogniser that comes with the package; MODEL_CARD.md says what it can do."""

PAPER = 32
"""Pixels of blank paper to the right of and below an image, whatever the batch: as far as a cell
sees. With less, the reading would depend on what else is in the batch."""

_EVEN = 8
"""Grey levels by which blank paper may differ, from its compression say."""

_INK_CELL = 8
"""Pixels: the length of ink is measured by the cells of this side that it passes."""

FEWEST, PER_UNIT = 8, 1.0
"""Tokens that a reading may have: so many, and more for every symbol unit of ink. No training
expression of CROHME has more than 4 and 1.0 per unit (of 3099 looked at); without a bound, repeated
strokes end in hundreds of tokens."""

MAX_PIXELS = 2_000_000
"""Images larger than this after rescaling are refused."""


@dataclass(frozen=True)
class Recognition:
    """What was read."""

    tokens: tuple[str, ...]
    confidence: float
    """Probability of the whole expression, in [0, 1]."""
    alternatives: tuple[tuple[tuple[str, ...], float], ...]
    """Further readings with their confidence, best first."""
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
            path = Path(source)
            if not path.is_file():
                raise HmerError(f"{path}: no such file; check the path")
            try:
                if path.suffix.lower() == ".inkml":
                    return self.prepare(read_inkml(path.read_bytes(), str(path)).ink)
                return self.prepare(load_picture(path))
            except OSError as error:
                raise InkError(f"{path}: cannot be opened ({error.strerror})") from None
            except InkError as error:
                if str(path) in str(error):
                    raise
                raise InkError(f"{path}: {error}") from None
        if isinstance(source, bytes):
            source = load_picture(source)
        if isinstance(source, Ink):
            style = self.render
            image = render(normalise(source), style.unit, style.pen, style.margin).image
        else:
            image = rescale_picture(source, self.render.unit, self.render.margin)
        if image.size > MAX_PIXELS:
            raise InkError(
                f"the expression is {image.shape[1]} x {image.shape[0]} pixels at the "
                f"recogniser's scale, more than {MAX_PIXELS} in all; cut it into parts"
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
        except InkError:
            if not is_blank(source):
                raise
            return Recognition((), 1.0, (), np.zeros((1, 1), np.uint8), None, None)
        return self.read([image], decoding, attention=attention)[0]

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
            alternatives=tuple((self._words(o), o.confidence) for o in others),
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


def is_blank(source: Source) -> bool:
    """Whether a picture is evenly grey: nothing was written, or scanned."""
    if isinstance(source, np.ndarray):
        return not source.any()
    if isinstance(source, Ink):
        return False
    try:
        opened = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(opened, formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_SOURCE_PIXELS:
                return False
            levels = np.asarray(picture.convert("L"), np.int16)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return False
    return bool(levels.size) and int(np.ptp(levels)) < _EVEN
