"""Label graphs: the symbols of an expression, their strokes and relations, as LgEval has them.

LgEval is the evaluation of the CROHME competitions (Mouchere, Zanibbi et al. 2013, "Evaluating
structural pattern recognition for handwritten math via primitive label graphs"). Its files (.lg)
are read by its tools in two forms, of which CROHME's own are in the second, object form:

    O, x_1, x, 1.0, 0, 1            a symbol: identifier, label, weight, strokes
    R, x_1, 2_1, Sup, 1.0           a relation: parent, child, label, weight
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from hmer.errors import LatexError
from hmer.latex.tree import Node, Relation, Row, parse, split_children

_LABELS = {"\\frac": "-", ",": "COMMA", "<": "\\lt", ">": "\\gt"}
_RELATIONS = {
    Relation.SUP: "Sup", Relation.SUB: "Sub", Relation.ABOVE: "Above", Relation.BELOW: "Below",
    Relation.INSIDE: "Inside", Relation.INDEX: "Above",
}  # fmt: skip

# However a caption spells limits, CROHME's graphs have those of a sum above and below, those of an
# integral beside (of 350 sums, limits and integrals of its truths 95 % are so).
_UNDER_OVER = frozenset((r"\sum", r"\lim", r"\prod", r"\max", r"\min"))
_BESIDE = frozenset((r"\int", r"\oint", r"\iint", r"\iiint"))
_AS_LIMIT = {"Sub": "Below", "Sup": "Above"}
_AS_SCRIPT = {limit: script for script, limit in _AS_LIMIT.items()}


@dataclass(frozen=True, slots=True)
class LabelGraph:
    """Symbols by any key, and relations between them.

    Attributes:
        labels: what each symbol is, as LgEval spells it: a fraction bar is `-`.
        strokes: the numbers of its strokes.
        relations: parent and child, and where the child stands: Right, Sub, Sup, Above, Below or
            Inside.
    """

    labels: Mapping[int, str]
    strokes: Mapping[int, frozenset[int]]
    relations: Mapping[tuple[int, int], str]

    def to_lg(self) -> str:
        """The content of a .lg file. Symbols without strokes, which it cannot hold, are left out.

        Weights are 1: all is meant.
        """
        seen: Counter[str] = Counter()
        names: dict[int, str] = {}
        lines = ["# O, symbol, label, weight, strokes"]
        for key, label in self.labels.items():
            if not self.strokes[key]:
                continue
            seen[label] += 1
            names[key] = f"{label}_{seen[label]}"
            strokes = ", ".join(map(str, sorted(self.strokes[key])))
            lines.append(f"O, {names[key]}, {label}, 1.0, {strokes}")
        lines.append("# R, parent, child, relation, weight")
        lines += [
            f"R, {names[parent]}, {names[child]}, {relation}, 1.0"
            for (parent, child), relation in self.relations.items()
            if parent in names and child in names
        ]
        return "\n".join(lines) + "\n"


def label_graph(tokens: Sequence[str], strokes: Mapping[int, Sequence[int]]) -> LabelGraph:
    """The graph of a caption; without relations where the tokens cannot be parsed.

    Args:
        tokens: the caption.
        strokes: the numbers of the strokes of each token that is written, by its place.
    """
    relations: dict[tuple[int, int], str] = {}
    with suppress(LatexError):
        _link(parse(tokens), None, None, relations)
    return LabelGraph(
        {at: _LABELS.get(tokens[at], tokens[at]) for at in strokes},
        {at: frozenset(owned) for at, owned in strokes.items()},
        relations,
    )


def _link(
    row: Row, before: Node | None, relation: Relation | None, found: dict[tuple[int, int], str]
) -> tuple[Node | None, Relation | None]:
    """Hang each symbol of a row on the one before it, the first on the one that carries the row.

    Args:
        row: whose symbols are related.
        before: the symbol on which the first one hangs.
        relation: where the row stands, seen from it; None: to its right.
        found: gets the relations.

    Returns:
        The same for what follows the row on its baseline.
    """
    for node in row:
        parts, scripts = split_children(node)
        if node.token:
            if before is not None:
                found[before.start, node.start] = _name(before.token, relation)
            before, relation = node, None
            for kind, inner in parts:
                _link(inner, node, kind, found)
        elif parts:  # groups that only group are nothing that is seen
            before, relation = _link(parts[0][1], before, relation, found)
        for kind, inner in scripts:
            _link(inner, before, kind, found)
    return before, relation


def _name(parent: str, relation: Relation | None) -> str:
    name = _RELATIONS[relation] if relation else "Right"
    if parent in _UNDER_OVER:
        return _AS_LIMIT.get(name, name)
    return _AS_SCRIPT.get(name, name) if parent in _BESIDE else name
