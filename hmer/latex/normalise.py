r"""LaTeX as people write it to the token sequences of the literature's captions.

Source of the rules: the captions of the WAP release against the raw CROHME truths, see
`hmer.latex.dialect` and `benchmarks/captions.py`, which lists what differs and why.
"""

from __future__ import annotations

from hmer.errors import LatexError
from hmer.latex.commands import split_children
from hmer.latex.dialect import Dialect, dialect_named
from hmer.latex.parse import parse
from hmer.latex.reader import MAX_CHARACTERS, read
from hmer.latex.serialise import serialise
from hmer.latex.tokens import shorten
from hmer.latex.tree import Node, Relation, Row

_AS_SCRIPT = {Relation.BELOW: Relation.SUB, Relation.ABOVE: Relation.SUP}


def normalise(raw: str, dialect: str | Dialect = "wap") -> list[str]:
    r"""The caption of `raw`: tokens with every script and part in braces.

    `x^2` gives `x ^ { 2 }`, `\dfrac12` gives `\frac { 1 } { 2 }`, `\mathrm{log}` gives `\log`.
    Tokens outside the dialect's vocabulary are kept: `Vocabulary.encode` names them.

    Args:
        raw: LaTeX of one expression, with or without `$`.
        dialect: a dialect or its name.

    Raises:
        LatexError: `raw` has no single reading, or the dialect is unknown; or the caption is longer
            than what can be read again.
    """
    chosen = dialect_named(dialect) if isinstance(dialect, str) else dialect
    tokens = serialise(spell(read(raw), chosen))
    if sum(map(len, tokens)) + len(tokens) > MAX_CHARACTERS + 1:
        raise LatexError(f"LaTeX {shorten(raw)!r} gives a caption of over {MAX_CHARACTERS} "
                         "characters; cut the expression into parts")  # fmt: skip
    return tokens


def respell(tokens: list[str], dialect: str | Dialect) -> list[str]:
    """A caption of one dialect in the spelling of another.

    Raises:
        LatexError: `tokens` cannot be parsed, or the dialect is unknown.
    """
    chosen = dialect_named(dialect) if isinstance(dialect, str) else dialect
    return serialise(spell(parse(tokens), chosen))


def spell(row: Row, dialect: Dialect) -> Row:
    """`row` with the tokens, limits and script order of `dialect`."""
    return tuple(_spell_node(node, dialect) for node in row)


def _spell_node(node: Node, dialect: Dialect) -> Node:
    parts, scripts = (
        [(relation, spell(row, dialect)) for relation, row in children]
        for children in split_children(node)
    )
    if not dialect.limits:
        scripts = [(_AS_SCRIPT.get(relation, relation), row) for relation, row in scripts]
    if dialect.subscript_first:
        scripts.sort(key=lambda script: script[0] in (Relation.SUP, Relation.ABOVE))
    return Node(dialect.spellings.get(node.token, node.token), (*parts, *scripts))
