"""How attention on ink is shared among the classes of symbols that the ink forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hmer.evaluation.annotated import NOBODY, Annotated, WrittenSymbol
from hmer.evaluation.attention.maps import Attention, upsample
from hmer.evaluation.bootstrap import Interval
from hmer.evaluation.images import FloatArray, ink_mask
from hmer.evaluation.ratio import RESAMPLES, ratio_interval

_KINDS = {
    "operator": r"+ - \times \div \pm \cdot / ! \prime '",
    "relation": r"= < > \lt \gt \leq \geq \neq \approx \in \rightarrow \forall \exists",
    "large operator": r"\sum \int \prod \lim",
    "fraction bar": r"\frac",
    "radical": r"\sqrt",
    "bracket": r"( ) [ ] \{ \} |",
    "dots": r". , \ldots \cdots",
}
_KIND_OF = {token: kind for kind, tokens in _KINDS.items() for token in tokens.split()}

SCRIPT = "script"
CLASSES = (
    *("operator", "relation", "large operator", "fraction bar", "radical"),
    *(SCRIPT, "digit", "letter", "bracket", "dots", "other"),
)
"""All classes. Each symbol has one kind; a symbol in a script belongs to `SCRIPT` as well."""

INFORMATIVE = frozenset(CLASSES[: CLASSES.index(SCRIPT) + 1])
"""What carries the structure of an expression."""


def symbol_kind(token: str) -> str:
    """The kind of a symbol by its LaTeX token: what it does, or digit, letter, other."""
    if token in _KIND_OF:
        return _KIND_OF[token]
    if token.isdigit():
        return "digit"
    return "letter" if len(token) == 1 and token.isalpha() else "other"


def symbol_classes(symbol: WrittenSymbol) -> tuple[str, ...]:
    """Its kind, and `SCRIPT` if it stands in one."""
    kind = symbol_kind(symbol.token)
    return (kind, SCRIPT) if symbol.script else (kind,)


def is_informative(symbol: WrittenSymbol) -> bool:
    """Whether one of its classes is in `INFORMATIVE`."""
    return not INFORMATIVE.isdisjoint(symbol_classes(symbol))


def membership(symbols: Sequence[WrittenSymbol]) -> FloatArray:
    """Which symbol is of which class: 0 or 1, shape (symbols, classes)."""
    table = np.zeros((len(symbols), len(CLASSES)))
    for row, symbol in enumerate(symbols):
        table[row, [CLASSES.index(name) for name in symbol_classes(symbol)]] = 1.0
    return table


def class_shares(attention: Attention, shown: Annotated, stride: float | None) -> FloatArray:
    """Shares of one map's attention on ink, and of the ink, per class: shape (2, classes).

    Each pixel of ink counts for the symbol whose stroke it is, so what stands under a radical is
    not the radical's. Where no attention falls on ink, no class has any.
    """
    spread = upsample(attention, (shown.image.shape[0], shown.image.shape[1]), stride)
    ink = ink_mask(shown.image)
    on_ink = spread[ink]
    owners = shown.owners[ink] - NOBODY  # the first bin holds ink that belongs to no symbol
    size = len(shown.symbols) + 1
    looked = np.bincount(owners, on_ink, size)[1:] / max(float(on_ink.sum()), 1e-300)
    written = np.bincount(owners, minlength=size)[1:] / max(len(owners), 1)
    shares: FloatArray = np.stack([looked, written]) @ membership(shown.symbols)
    return shares


@dataclass(frozen=True, slots=True)
class SymbolAttention:
    """The attention that one class of symbols gets, against its share of ink.

    `attention` and `ink` are shares of all attention on ink and of all ink, each the mean over
    the expressions; `lift` is their ratio with its bootstrap interval: above 1, this class gets
    more attention than its ink.
    """

    kind: str
    symbols: int
    attention: float
    ink: float
    lift: Interval


def lifts(shares: FloatArray) -> dict[str, float]:
    """Share of the attention over share of the ink, of each class with any ink.

    Args:
        shares: from `class_shares`, shape (expressions, 2, classes).
    """
    looked, written = shares.sum(axis=0)
    return {
        kind: float(looked[number] / written[number])
        for number, kind in enumerate(CLASSES)
        if written[number] > 0.0
    }


def attention_by_class(
    shares: FloatArray, symbols: FloatArray, seed: int, resamples: int = RESAMPLES
) -> list[SymbolAttention]:
    """Classes with any ink, in the order of `CLASSES`.

    Args:
        shares: from `class_shares`, shape (expressions, 2, classes).
        symbols: how many of each class there are, shape (classes,).
        seed: of the bootstrap.
        resamples: of the bootstrap.
    """
    rows = []
    for number, kind in enumerate(CLASSES):
        looked, written = shares[:, 0, number], shares[:, 1, number]
        if written.sum() > 0.0:
            lift = ratio_interval(looked, written, seed, resamples)
            count = int(symbols[number])
            shares_of = float(looked.mean()), float(written.mean())
            rows.append(SymbolAttention(kind, count, *shares_of, lift))
    return rows
