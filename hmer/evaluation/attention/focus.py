"""What spatial attention maps rest on, measured expression by expression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hmer.evaluation.annotated import Annotated, cell_grid
from hmer.evaluation.attention.maps import entropy, ink_lift
from hmer.evaluation.attention.pointing import ink_near_centre, peaks
from hmer.evaluation.attention.symbols import class_shares, is_informative
from hmer.evaluation.images import BoolArray, FloatArray
from hmer.models.common.ink_cells import INK_THRESHOLD


@dataclass(frozen=True, slots=True, eq=False)
class Focus:
    """One map over each of n expressions, all of them with ink."""

    on_ink: FloatArray
    """(n,): share of the attention that falls on ink."""
    area: FloatArray
    """(n,): share of the picture that is ink."""
    width: FloatArray
    """(n,): cells over which the attention is spread (exp of its entropy), as a share of the
    cells with ink: 1 is even."""
    classes: FloatArray
    """(n, 2, classes): shares of attention on ink, and of ink, from `class_shares`."""
    at_ink: BoolArray
    """(n,): whether there is ink within a quarter of a cell from the maximum."""
    at_informative: BoolArray
    """(n,): whether most ink in the cell of the maximum is of an informative symbol."""

    @property
    def lift(self) -> float:
        """Share of attention on ink over share of area, both the mean over the expressions."""
        return float(self.on_ink.mean() / self.area.mean())


def focus(shown: Sequence[Annotated], maps: Sequence[FloatArray], stride: int) -> Focus:
    """Measure one map (h, w) per expression; there must be at least one.

    Raises:
        ValueError: a map without mass.
    """
    inked = [ink_cells(one, stride) for one in shown]
    lifts = [ink_lift(m, one.image, stride) for one, m in zip(shown, maps, strict=True)]
    spots = [tuple(peaks(one[None])[0]) for one in maps]
    near = [ink_near_centre(x.image, stride, cell_grid(x.image, stride)) for x in shown]
    wide = [float(np.exp(entropy(m)) / i.sum()) for m, i in zip(maps, inked, strict=True)]
    return Focus(
        on_ink=np.array([lift.attention for lift in lifts]),
        area=np.array([lift.area for lift in lifts]),
        width=np.array(wide),
        classes=np.stack([class_shares(m, o, stride) for o, m in zip(shown, maps, strict=True)]),
        at_ink=np.array([cells[spot] for cells, spot in zip(near, spots, strict=True)]),
        at_informative=np.array(
            [informative_cells(o, stride)[spot] for o, spot in zip(shown, spots, strict=True)]
        ),
    )


def ink_cells(shown: Annotated, stride: int) -> BoolArray:
    """Cells with ink as a recogniser sees it, (h, w): where its map may fall."""
    height, width = cell_grid(shown.image, stride)
    padded = np.zeros((height * stride, width * stride), np.uint8)
    padded[: shown.image.shape[0], : shown.image.shape[1]] = shown.image
    brightest = padded.reshape(height, stride, width, stride).max(axis=(1, 3))
    found: BoolArray = brightest > INK_THRESHOLD * 255.0
    return found


def even_map(shown: Annotated, stride: int) -> FloatArray:
    """The map that knows no more than where there is ink: even over the cells with ink."""
    cells = ink_cells(shown, stride)
    return np.asarray(cells / cells.sum())


def informative_cells(shown: Annotated, stride: int) -> BoolArray:
    """Cells (h, w) in which an informative symbol has more ink than any other symbol."""
    named = np.array([is_informative(symbol) for symbol in shown.symbols] + [False])
    found: BoolArray = named[shown.cells(stride)]  # NOBODY is the last entry
    return found


@dataclass(frozen=True, slots=True)
class Chance:
    """How often a cell drawn from those with ink wins the pointing game: shares in [0, 1]."""

    ink: float
    informative: float


def chance(shown: Sequence[Annotated], stride: int) -> Chance:
    """The mean over the expressions; over those with symbols for `informative`, 0 without any."""
    ink, informative = [], []
    for one in shown:
        cells = ink_cells(one, stride)
        ink.append(ink_near_centre(one.image, stride, cell_grid(one.image, stride))[cells].mean())
        if one.symbols:
            informative.append(informative_cells(one, stride)[cells].mean())
    return Chance(float(np.mean(ink)), float(np.mean(informative or [0.0])))
