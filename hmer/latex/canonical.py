r"""One spelling for captions that render alike: the second reading of every metric.

Scripts subscript first, limits as scripts, groups that only group dissolved, empty scripts gone,
and a prime is `\prime` whichever way the dialect writes it. Nothing that changes the picture is
changed: `x \prime` and `x ^ { \prime }` stay apart.
"""

from __future__ import annotations

from collections.abc import Sequence

from hmer.errors import LatexError
from hmer.latex.commands import split_children
from hmer.latex.dialect import Dialect
from hmer.latex.normalise import spell
from hmer.latex.parse import parse
from hmer.latex.serialise import serialise
from hmer.latex.tree import Node, Relation, Row, grounded

CANONICAL = Dialect("canonical", limits=False, spellings={"'": "\\prime"})


def canonical(tokens: Sequence[str]) -> list[str]:
    """The canonical spelling of a caption; tokens that cannot be parsed come back as they are."""
    try:
        return serialise(canonical_row(parse(tokens)))
    except LatexError:
        return list(tokens)


def canonical_row(row: Row) -> Row:
    """The tree of the canonical spelling."""
    return spell(_dissolve(row), CANONICAL)


def _dissolve(row: Row) -> Row:
    """`row` without groups that only group, without empty scripts and empty root indices."""
    nodes: list[Node] = []
    for node in row:
        parts, scripts = (
            tuple((relation, _dissolve(child)) for relation, child in children)
            for children in split_children(node)
        )
        scripts = tuple(script for script in scripts if script[1])
        if node.token:
            parts = tuple(part for part in parts if part[1] or part[0] is not Relation.INDEX)
            nodes.append(Node(node.token, parts + scripts))
            continue
        inner = parts[0][1] if parts else ()
        if scripts and (not inner or split_children(inner[-1])[1]):
            base = ((Relation.INSIDE, inner),) if inner or nodes else ()
            nodes.append(Node("", base + scripts))
        elif inner:
            # The scripts of a group stand where those of its last symbol would.
            last = Node(inner[-1].token, inner[-1].children + scripts)
            nodes.extend(grounded(part) if nodes else part for part in (*inner[:-1], last))
    return tuple(nodes)
