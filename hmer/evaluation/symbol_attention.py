"""How attention on ink is shared among the kinds of symbols that the ink forms."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hmer.evaluation.attention import Attention, upsample
from hmer.evaluation.images import Image, ink_mask
from hmer.ink.boxes import SymbolBox

_KINDS = {
    "fraction bar": r"\frac",
    "radical": r"\sqrt",
    "large operator": r"\sum \int \prod \lim",
    "operator": r"+ - \times \div \pm \cdot / ! \prime",
    "relation": r"= < > \lt \gt \leq \geq \neq \approx \in \rightarrow \forall \exists",
    "bracket": r"( ) [ ] \{ \} |",
    "dots": r". , \ldots \cdots",
}
_KIND_OF = {token: kind for kind, tokens in _KINDS.items() for token in tokens.split()}


def symbol_kind(token: str) -> str:
    """The kind of a symbol by its LaTeX token: what it does, or digit, letter, other."""
    if token in _KIND_OF:
        return _KIND_OF[token]
    if token.isdigit():
        return "digit"
    return "letter" if len(token) == 1 and token.isalpha() else "other"


@dataclass(frozen=True, slots=True)
class SymbolAttention:
    """The attention that one kind of symbol gets, against its share of ink.

    `attention` and `ink` are shares of all attention on ink and of all ink, each the mean over
    the expressions; `lift` is their ratio.
    """

    kind: str
    symbols: int
    attention: float
    ink: float

    @property
    def lift(self) -> float:
        """Above 1: this kind gets more attention than its ink."""
        return self.attention / self.ink


class AttentionOnSymbols:
    """Accumulates, over expressions, how attention on ink is shared among kinds of symbols."""

    def __init__(self, kind: Callable[[str], str] = symbol_kind) -> None:
        self._kind = kind
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._attention: dict[str, float] = defaultdict(float)
        self._ink: dict[str, float] = defaultdict(float)
        self._symbols: dict[str, int] = defaultdict(int)
        self._expressions = 0

    def update(
        self,
        attention: Attention,
        image: Image,
        boxes: Sequence[SymbolBox],
        stride: float | None = None,
    ) -> None:
        """Add one map (h, w) over one picture (H, W); ink pixels in two boxes count in both.

        Raises:
            ValueError: no ink, or no attention on it.
        """
        ink = ink_mask(image)
        on_ink = upsample(attention, (ink.shape[0], ink.shape[1]), stride) * ink
        if not on_ink.sum() > 0.0:
            raise ValueError("no attention on ink")
        self._expressions += 1
        for box in boxes:
            rows = slice(max(0, int(np.floor(box.top))), max(0, int(np.ceil(box.bottom))))
            columns = slice(max(0, int(np.floor(box.left))), max(0, int(np.ceil(box.right))))
            kind = self._kind(box.token)
            self._symbols[kind] += 1
            self._attention[kind] += float(on_ink[rows, columns].sum() / on_ink.sum())
            self._ink[kind] += float(ink[rows, columns].sum() / ink.sum())

    def summary(self) -> list[SymbolAttention]:
        """Kinds with any ink, most lifted first."""
        n = max(1, self._expressions)
        rows = [
            SymbolAttention(kind, count, self._attention[kind] / n, self._ink[kind] / n)
            for kind, count in self._symbols.items()
            if self._ink[kind] > 0.0
        ]
        return sorted(rows, key=lambda row: (-row.lift, row.kind))
