"""What has been read of an expression: its candidates, and where each token is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from html import escape

import numpy as np
from numpy.typing import NDArray

from hmer.errors import InkError
from hmer.ink.inkml import InkDocument, write_inkml
from hmer.ink.strokes import Ink, Symbol
from hmer.latex.label_graph import LabelGraph, label_graph
from hmer.latex.mathml import mathml, named_mathml
from hmer.latex.typed import compact

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Candidate:
    """One way to read an expression."""

    tokens: tuple[str, ...]
    confidence: float
    """Probability of the whole expression, in [0, 1]."""

    @property
    def latex(self) -> str:
        """The tokens, separated by blanks: what data sets and metrics use."""
        return " ".join(self.tokens)

    @property
    def compact(self) -> str:
        r"""LaTeX as a person would type it: `\frac{a}{b}`, `x^2`, `\alpha x`."""
        return compact(self.tokens)

    @property
    def mathml(self) -> str | None:
        """Presentation MathML; None where the tokens are no expression."""
        return mathml(self.tokens)

    def _repr_latex_(self) -> str:
        """For notebooks."""
        return f"$\\displaystyle {self.compact}$"


@dataclass(frozen=True, slots=True)
class ReadSymbol:
    """A token that is written, and its ink; braces and script marks are not written."""

    token: str
    place: int
    """Its number among the tokens, counted from 0."""
    box: Box
    """In pixels of the upright picture (a PDF's points), or in the coordinates of the ink."""
    strokes: tuple[int, ...]
    """Numbers of its strokes in the ink that was read; of a picture none. No stroke is two
    symbols'."""


Alternatives = tuple[tuple[tuple[str, ...], float], ...]
"""Tokens of readings, and their confidence."""


def _nothing() -> tuple[()]:
    return ()


@dataclass(frozen=True)
class Recognition(Candidate):
    """What was read: the best candidate, with the others."""

    image: NDArray[np.uint8]
    """(H, W), ink 255 on 0: the picture at the recogniser's scale."""
    spatial_attention: NDArray[np.float32] | None
    """(h, w): the attention network's map over the cells."""
    attention: NDArray[np.float32] | None
    """(n + 1, h, w): where the decoder looked for each token and for the stop, if asked for."""
    box: Box | None = None
    """Where `Recognizer.read_page` found it on the upright picture, in its pixels (a PDF's points),
    or in the ink's units."""
    page: int = 1
    """Of a PDF, or the frame of a picture."""
    ink: Ink | None = None
    """What was read, if it was ink: of a page, the strokes of this expression."""
    probability: float = 1.0
    """What the search gives it, before calibration."""
    share: float = 1.0
    """Of what the n-best list has between them; a half where it is alone in it."""
    locate: Callable[[], tuple[ReadSymbol, ...]] = field(default=_nothing, repr=False)
    """Computes `symbols`; it keeps hold of the recogniser."""
    others: Callable[[], Alternatives] = field(default=_nothing, repr=False)
    """Computes `alternatives`."""

    @cached_property
    def alternatives(self) -> Alternatives:
        """Further readings that are LaTeX, with their confidence, the most probable first."""
        return self.others()

    @property
    def n_best(self) -> tuple[Candidate, ...]:
        """All candidates, this one first."""
        others = (Candidate(tokens, confidence) for tokens, confidence in self.alternatives)
        return (Candidate(self.tokens, self.confidence), *others)

    @cached_property
    def symbols(self) -> tuple[ReadSymbol, ...]:
        """Each token that is written with its ink, in the order of the tokens.

        Computed when first asked for, in about the time that one step of the search takes for each
        token. A token for which no ink is left is not among them.
        """
        return self.locate()

    def graph(self) -> LabelGraph:
        """Symbols, strokes and relations; `to_lg` of it is the file of CROHME and LgEval.

        Raises:
            InkError: it was a picture, which has no strokes.
        """
        self._strokes("a label graph")
        return label_graph(self.tokens, {one.place: one.strokes for one in self.symbols})

    def to_inkml(self) -> bytes:
        """The ink as InkML with LaTeX, MathML, and a trace group for every symbol.

        Raises:
            InkError: it was a picture, which has no strokes.
        """
        strokes = self._strokes("InkML").strokes
        math = named_mathml(self.tokens) if self.mathml is not None else None
        symbols = tuple(Symbol(one.token, one.strokes, one.place) for one in self.symbols)
        names = {} if math is None else math.names
        return write_inkml(
            InkDocument(
                Ink(strokes, symbols),
                self.latex,
                mathml=None if math is None else math.xml,
                symbol_ids=tuple(names.get(one.place, "") for one in self.symbols),
            )
        )

    def _strokes(self, wanted: str) -> Ink:
        if self.ink is None:
            raise InkError(f"{wanted} has strokes, and a picture has none; read ink (InkML)")
        return self.ink

    def _repr_html_(self) -> str:
        """For notebooks: the expression and, in a table, what else it might be."""
        rows = "".join(
            f"<tr><td>{one.mathml or ''}</td><td><code>{escape(one.compact)}</code></td>"
            f"<td>{one.confidence:.1%}</td></tr>"
            for one in self.n_best[:5]
        )
        return f"<table>{rows}</table>"
