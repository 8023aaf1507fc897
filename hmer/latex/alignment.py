"""Which token of its caption each written symbol is.

InkML names, for each group of strokes, the MathML element that it writes. Where the caption's tree
and the MathML agree, symbol by symbol and place by place, that settles it; where they do not, one
of the two is wrong, and the expression is better left alone by everything that takes apart ink.
Without MathML the symbols are told apart by their tokens, and equal ones by their order in a row.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import count, pairwise, zip_longest

from hmer.errors import LatexError
from hmer.ink.strokes import Ink, Symbol
from hmer.latex.dialect import CANONICAL, dialect_named
from hmer.latex.mathml import read_leaf, read_mathml
from hmer.latex.spellings import FUNCTIONS
from hmer.latex.tree import INKLESS, ROOT, Relation, Row, parse, split_children, symbols

_ALIKE = {
    **dialect_named("wap").spellings,
    **CANONICAL.spellings,
    "\\cdots": "\\ldots",
    "\\cdot": ".",
}
"""Signs between which annotators did not distinguish; the caption decides what they are."""

_RUNS = {"\\ldots": (".",) * 3} | {name: letters for letters, name in FUNCTIONS.items()}
"""Tokens whose ink may be annotated in pieces, and the pieces."""

_BAR = "\\frac"
_MINUS = "-"
_AS_SCRIPT = {Relation.ABOVE: Relation.SUP, Relation.BELOW: Relation.SUB}


@dataclass(frozen=True, slots=True)
class Placed:
    """Ink whose symbols know their tokens, or do not, and why.

    Attributes:
        ink: as it came, except for its symbols: with places where all are known, without elsewhere.
        problem: why not all tokens and strokes could be matched; None if they could.
    """

    ink: Ink
    problem: str | None


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A written symbol of a tree.

    Attributes:
        token: in the spelling in which trees are compared.
        path: relations from the outermost row to the symbol's row; limits count as scripts.
        branch: the way from the root, a number for every choice of a node or of a child.
        number: of the symbol, in the order of `symbols`.
    """

    token: str
    path: tuple[Relation, ...]
    branch: tuple[int, ...]
    number: int


def place_symbols(
    ink: Ink, symbol_ids: Sequence[str], mathml: str | None, tokens: Sequence[str]
) -> Placed:
    """Give each symbol of `ink` the index of its token in `tokens`.

    Symbols that get a place also get the caption's spelling of their token. Places are given to
    all symbols or to none.

    Args:
        ink: with symbols as annotated.
        symbol_ids: for each symbol the `xml:id` of its MathML element, or "".
        mathml: the expression as MathML, if there is any.
        tokens: the caption.
    """
    bare = replace(ink, symbols=tuple(replace(symbol, place=None) for symbol in ink.symbols))
    if not ink.symbols:
        return Placed(bare, "no symbols are annotated")
    try:
        row = parse(tokens)
    except LatexError as error:
        return Placed(bare, f"the caption is no tree ({error})")
    leaves = _leaves(row)
    where = [node.start for node in symbols(row)]
    found = _by_mathml(leaves, symbol_ids, mathml)
    if isinstance(found, str):
        reason = found
        found = _by_order(leaves, ink)
        if isinstance(found, str):
            return Placed(bare, f"{reason}; {found}")
    problem = _contradiction(found, leaves, ink)
    if problem:
        return Placed(bare, problem)
    strokes: dict[int, tuple[int, ...]] = {}
    for number, symbol in enumerate(ink.symbols):
        place = where[found[number].number]
        strokes[place] = strokes.get(place, ()) + symbol.strokes
    named = tuple(Symbol(tokens[place], owned, place) for place, owned in strokes.items())
    return Placed(replace(ink, symbols=named), None)


def stroke_places(ink: Ink, tokens: Sequence[str]) -> list[int] | None:
    """Which token of the caption each stroke writes; None unless that is known of every one.

    Also None where a token that is written has no strokes, or the caption cannot be parsed.
    """
    places = [-1] * len(ink.strokes)
    for symbol in ink.symbols:
        if symbol.place is None or not 0 <= symbol.place < len(tokens):
            return None
        if tokens[symbol.place] != symbol.token:
            return None
        for stroke in symbol.strokes:
            if places[stroke] != -1:
                return None
            places[stroke] = symbol.place
    if -1 in places:
        return None
    try:
        written = {node.start for node in symbols(parse(tokens))}
    except LatexError:
        return None
    return places if written == set(places) else None


def symbols_of(places: Sequence[int], tokens: Sequence[str]) -> tuple[Symbol, ...]:
    """The symbols of ink whose stroke i writes the token `places[i]`, by place."""
    strokes: dict[int, list[int]] = {}
    for number, place in enumerate(places):
        strokes.setdefault(place, []).append(number)
    return tuple(Symbol(tokens[place], tuple(strokes[place]), place) for place in sorted(strokes))


def _leaves(row: Row) -> list[_Leaf]:
    """The symbols of a tree in the order in which trees are compared.

    Scripts come subscript first and limits as scripts; groups that only group are no level.
    """
    return list(_row_leaves(row, (), (), count()))


def _row_leaves(
    row: Row, path: tuple[Relation, ...], branch: tuple[int, ...], numbers: Iterator[int]
) -> Iterator[_Leaf]:
    for at, node in enumerate(row):
        here = (*branch, at)
        if node.token not in INKLESS:
            token = _ALIKE.get(node.token, node.token)
            yield _Leaf(token, path, here, next(numbers))
        # All are visited in the order of the tree, which is that of the numbers, and then sorted.
        found = []
        parts = len(split_children(node)[0])
        for side, (relation, child) in enumerate(node.children):
            relation = _AS_SCRIPT.get(relation, relation) if side >= parts else relation
            group = relation is Relation.INSIDE and not node.token
            below = path if group else (*path, relation)
            found.append((relation, list(_row_leaves(child, below, (*here, side), numbers))))
        found.sort(key=lambda part: part[0] is Relation.SUP)
        for _, leaves in found:
            yield from leaves


def _by_mathml(
    leaves: list[_Leaf], symbol_ids: Sequence[str], mathml: str | None
) -> dict[int, _Leaf] | str:
    """The leaf of each symbol by its identifier, or why there is none."""
    if mathml is None:
        return "there is no MathML"
    try:
        tree = read_mathml(mathml, "the truth")
    except LatexError as error:
        return str(error)
    others = _leaves(tree.row)
    leaf_of: dict[str, _Leaf] = {}
    for ours, theirs in zip_longest(_in_pieces(leaves, others), others):
        if ours is None or theirs is None or theirs.token not in _pieces(ours.token):
            said, meant = (leaf.token if leaf else "nothing" for leaf in (ours, theirs))
            return f"the caption has {said} where the MathML has {meant}"
        if ours.path != theirs.path:
            return f"{ours.token} stands elsewhere in the MathML"
        leaf_of[tree.ids[theirs.number]] = ours
    unknown = [name for name in symbol_ids if not name or name not in leaf_of]
    if unknown:
        return f"the symbol {unknown[0]!r} is not in the MathML"
    return {symbol: leaf_of[name] for symbol, name in enumerate(symbol_ids)}


def _pieces(token: str) -> tuple[str, ...]:
    """What `token` may be annotated as."""
    return (token, *_RUNS.get(token, ()))


def _in_pieces(leaves: list[_Leaf], others: list[_Leaf]) -> Iterator[_Leaf]:
    """`leaves`, those several times that `others` have in pieces."""
    at = 0
    for leaf in leaves:
        run = _RUNS.get(leaf.token, ())
        times = len(run) if run and run == tuple(o.token for o in others[at : at + len(run)]) else 1
        yield from (leaf,) * times
        at += times


def _by_order(leaves: list[_Leaf], ink: Ink) -> dict[int, _Leaf] | str:
    """The leaf of each symbol by its token, equal tokens from left to right, or why not."""
    spelled = [_spelling(symbol.token) for symbol in ink.symbols]
    bars = _BAR in spelled  # else fraction bars are annotated as what they look like
    of_token: defaultdict[str, list[_Leaf]] = defaultdict(list)
    for leaf in leaves:
        of_token[_MINUS if leaf.token == _BAR and not bars else leaf.token].append(leaf)
    written: defaultdict[str, list[int]] = defaultdict(list)
    for number, token in enumerate(spelled):
        written[token].append(number)
    found: dict[int, _Leaf] = {}
    for token in sorted(of_token.keys() | written.keys()):
        meant, symbols = of_token[token], written[token]
        if len(meant) != len(symbols):
            return f"the caption has {len(meant)} times {token}, the ink {len(symbols)} times"
        if not all(_beside(one, other) for one, other in pairwise(meant)):
            return f"it is not clear which {token} is which"
        found |= zip(sorted(symbols, key=lambda number: _left(ink, number)), meant, strict=True)
    return found


def _beside(one: _Leaf, other: _Leaf) -> bool:
    """Whether `other` must stand to the right of `one`: they part in a row, not above and below."""
    pairs = enumerate(zip(one.branch, other.branch, strict=False))
    parting = next((level for level, (a, b) in pairs if a != b), None)
    return parting is not None and parting % 2 == 0


def _left(ink: Ink, number: int) -> float:
    strokes = ink.symbols[number].strokes
    return min(float(ink.strokes[stroke][:, 0].min()) for stroke in strokes)


def _contradiction(found: dict[int, _Leaf], leaves: list[_Leaf], ink: Ink) -> str | None:
    """Why the leaves found for the symbols of `ink` cannot be the whole truth, if so."""
    written: defaultdict[int, list[str]] = defaultdict(list)
    for number, leaf in sorted(found.items(), key=lambda item: item[1].number):
        written[leaf.number].append(_spelling(ink.symbols[number].token))
    for leaf in leaves:
        said = tuple(written[leaf.number])
        readings = [(leaf.token,), (_MINUS,) if leaf.token == _BAR else (), _RUNS.get(leaf.token)]
        if not said or said not in readings:
            return f"the ink of {leaf.token} is annotated as {' '.join(said) or 'nothing'}"
    owned = Counter(stroke for symbol in ink.symbols for stroke in symbol.strokes)
    if len(owned) < len(ink.strokes):
        return f"{len(ink.strokes) - len(owned)} strokes belong to no symbol"
    shared = sum(1 for times in owned.values() if times > 1)
    return f"{shared} strokes belong to several symbols" if shared else None


@lru_cache(maxsize=4096)
def _spelling(token: str) -> str:
    """A token as annotated (`\\lt`, `sin`) in the spelling in which trees are compared."""
    if token in (_BAR, ROOT):
        return token
    with suppress(LatexError):
        row = read_leaf(token)
        if len(row) == 1 and row[0].token:
            token = row[0].token
    return _ALIKE.get(token, token)
