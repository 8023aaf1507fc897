"""New expressions cut out of real ones: every balanced sub-expression that owns its symbols.

After Le, Indurkhya and Nakagawa, "Pattern generation strategies for improving recognition of
handwritten mathematical expressions", Pattern Recognition Letters 2019. Numerators, radicands,
scripts, bases with their scripts, operands and brackets are all runs of neighbours in some row;
runs that end where operators and brackets stand come more often than those cut out of a product.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hmer.errors import HmerError
from hmer.ink.scale import own_unit
from hmer.ink.strokes import Ink
from hmer.latex.alignment import symbols_of
from hmer.latex.tree import COMMANDS, Row, parse, rows
from hmer.synthesis.base import LONGEST, NEVER_ALONE, TEMPERING, Leakage, Written, draw, running
from hmer.synthesis.ink_index import InkedCaptions, Material
from hmer.synthesis.substitutions import BRACKETS

KIND = "decompose"

_CLOSE = frozenset(BRACKETS.values())
_BAR = "|"
_RELATIONS = r"= < > \leq \geq \neq \rightarrow \in"
_OPERATORS = r"+ - \times \div \pm \cdot / , ! \cdots \ldots"
SIGNS = frozenset((*_RELATIONS.split(), *_OPERATORS.split()))
"""Signs that stand between operands."""

_STARTERS = frozenset(("-", r"\pm", r"\cdots", r"\ldots"))  # signs that may well come first
_ENDERS = frozenset(("!", r"\cdots", r"\ldots"))
_EXPECTANT = frozenset(r"\sum \int \lim \log \sin \cos \tan \forall \exists".split())
_WITHIN = 0.25  # weight of a cut inside a product
_HANGING = 0.03  # weight of a run that starts or ends with a sign that wants a neighbour


OWN_SCALE = 0.5
"""Probability that what is written is brought to its own symbol unit."""


class DecomposeConfig(BaseModel):
    """What pieces are cut."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    single: float = Field(
        0.1,
        ge=0,
        le=1,
        description="share of single symbols, by the square root of how often each token comes",
    )


@dataclass(frozen=True)
class Piece:
    """A run of neighbours: tokens `start` to `stop - 1` of a caption, and how good its cuts are."""

    start: int
    stop: int
    weight: float


class Decomposer:
    """Cuts pieces out of the expressions of a training split; a `Synthesiser`, picklable."""

    def __init__(
        self,
        expressions: InkedCaptions,
        config: DecomposeConfig | None = None,
        leakage: Leakage | None = None,
    ) -> None:
        """Find all pieces of a training split but those with captions that must not come out.

        Raises:
            HmerError: no expression has ink whose symbols are known to be its tokens.
        """
        self.config = config or DecomposeConfig()
        self.material = Material.of(expressions)
        leakage = leakage or Leakage()
        rows: list[tuple[int, int, int]] = []
        weights: list[float] = []
        captions: list[str] = []
        for number, tokens in enumerate(self.material.tokens):
            for piece in pieces(tokens):
                caption = tokens[piece.start : piece.stop]
                if leakage.allows(caption):
                    rows.append((number, piece.start, piece.stop))
                    weights.append(piece.weight)
                    captions.append(" ".join(caption))
        if not rows:
            raise HmerError(
                "there is nothing to decompose: no training expression has ink whose symbols are "
                "placed in its caption; ingest a source with trace groups again"
            )
        self._singles = _single_symbols(self.material) if self.config.single else []
        # Alone, a comma looks like a bracket, `X` like `x`: the likelier one is written more often.
        self._singles_below = running(np.sqrt([len(places) for places in self._singles]))
        self._rows = np.array(rows, np.int32)
        self._below = running(self._chances(np.array(weights), captions))

    def __call__(self, rng: np.random.Generator) -> Written:
        """A piece, its ink as it was written, at its own scale or at that of its expression.

        A single symbol is at its own, as it would be if nothing else had been written.
        """
        if self._singles and rng.random() < self.config.single:
            places = self._singles[draw(self._singles_below, rng)]
            expression, place = places[int(rng.integers(len(places)))]
            return self.cut(expression, place, place + 1, own_scale=True)
        expression, start, stop = self.draw(rng)
        return self.cut(expression, start, stop, rng.random() < OWN_SCALE)

    def draw(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """Which piece: the expression, its first token and the one after its last."""
        expression, start, stop = self._rows[draw(self._below, rng)].tolist()
        return expression, start, stop

    def cut(self, expression: int, start: int, stop: int, own_scale: bool) -> Written:
        """The tokens `start` to `stop - 1` of an expression as an expression of their own."""
        material = self.material
        numbers = material.strokes_of(expression, start, stop)
        boxes = material.boxes[numbers]
        corner = boxes[:, :2].min(axis=0)
        unit = own_unit(boxes.astype(np.float64)) if own_scale else 1.0
        factor = np.float32(1 / unit)
        strokes = tuple((material.stroke(k) - corner) * factor for k in numbers.tolist())
        tokens = material.tokens[expression][start:stop]
        places = (material.places[numbers] - start).tolist()
        base = int(material.numbers[expression])
        return Written(Ink(strokes, symbols_of(places, tokens)), tokens, KIND, base)

    def _chances(self, weights: NDArray[np.float64], captions: list[str]) -> NDArray[np.float64]:
        """How often each piece comes, not normalised."""
        times = Counter(captions)
        often = np.array([times[caption] for caption in captions], np.float64)
        tempered = weights * often ** (TEMPERING - 1)
        boost = self.material.rare_boost()
        best = {caption: max(boost[token] for token in caption.split(" ")) for caption in times}
        return np.asarray(tempered * [best[caption] for caption in captions], np.float64)


def _single_symbols(material: Material) -> list[list[tuple[int, int]]]:
    """For every token that is a symbol with ink: the expressions and places at which it stands."""
    found: dict[str, list[tuple[int, int]]] = {}
    for number, tokens in enumerate(material.tokens):
        strokes = slice(*material.first_stroke[number : number + 2].tolist())
        for place in np.unique(material.places[strokes]).tolist():
            if tokens[place] not in COMMANDS and tokens[place] not in NEVER_ALONE:
                found.setdefault(tokens[place], []).append((number, place))
    return [found[token] for token in sorted(found)]


def pieces(tokens: list[str]) -> list[Piece]:
    """The balanced runs of all rows of a caption, except the caption itself.

    The runs of one row share a weight equal to its number of nodes, so that long rows, which have
    runs by the hundred, do not crowd out the scripts and fractions.
    """
    found: list[Piece] = []
    for _, _, row in rows(parse(tokens)):
        runs = _runs(row, len(tokens))
        total = sum(run.weight for run in runs)
        found += [Piece(r.start, r.stop, r.weight * len(row) / total) for r in runs]
    return found


def _runs(row: Row, whole: int) -> list[Piece]:
    names = tuple(node.token for node in row)
    cuts = [_cut(names, at) for at in range(len(names) + 1)]
    runs = []
    for first in range(len(names)):
        begin = cuts[first] * (_HANGING if names[first] in SIGNS - _STARTERS else 1.0)
        waiting: list[str] = []
        bars = 0
        for last in range(first, len(names)):
            name = names[last]
            start, stop = row[first].start, row[last].stop
            if name in BRACKETS:
                waiting.append(BRACKETS[name])
            elif name in _CLOSE and (not waiting or waiting.pop() != name):
                break
            bars += name == _BAR
            if stop - start > LONGEST:
                break
            if waiting or bars % 2 or stop - start == whole:
                continue
            alone = first == last
            hangs = not alone and name in (SIGNS - _ENDERS) | _EXPECTANT
            lonely = alone and (name in SIGNS or name in _EXPECTANT) and stop - start == 1
            factor = _HANGING if hangs or lonely else 1.0
            runs.append(Piece(start, stop, begin * cuts[last + 1] * factor))
    return runs


def _cut(names: tuple[str, ...], at: int) -> float:
    """How good a place to cut the gap before node `at` of a row is."""
    if at in (0, len(names)):
        return 1.0
    before, after = names[at - 1], names[at]
    clean = before in SIGNS or after in SIGNS or before in BRACKETS or after in _CLOSE
    return 1.0 if clean else _WITHIN
