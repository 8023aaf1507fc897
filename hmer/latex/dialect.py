"""Caption dialects: normalisation of LaTeX to the spelling of each family of published captions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hmer.errors import LatexError
from hmer.latex.reader import MAX_CHARACTERS, read, shorten
from hmer.latex.tree import Node, Relation, Row, grounded, parse, serialise, split_children
from hmer.latex.vocabulary import chosen_vocabulary


@dataclass(frozen=True, slots=True)
class Dialect:
    r"""A way of writing captions.

    Attributes:
        name: as in `hmer.latex.vocabulary.vocabulary`.
        limits: keep `\limits` after integrals.
        spellings: tokens that the dialect writes otherwise.
        subscript_first: write `_` before `^`; otherwise in the order of the raw truth.
    """

    name: str
    limits: bool = True
    spellings: dict[str, str] = field(default_factory=dict)
    subscript_first: bool = True


_DIALECTS = {
    "wap": Dialect("wap", spellings={"\\Pi": "\\pi"}),
    "comer": Dialect("comer", spellings={"'": "\\prime"}),
    "can": Dialect("can", limits=False, spellings={"\\Pi": "\\pi"}),
    "plain": Dialect("plain", limits=False, spellings={"'": "\\prime"}),
}


def dialect_named(name: str) -> Dialect:
    """The dialect of that name.

    Raises:
        LatexError: there is no such dialect.
    """
    try:
        return _DIALECTS[name]
    except KeyError:
        known = ", ".join(_DIALECTS)
        raise LatexError(f"dialect {name!r} is unknown; choose one of {known}") from None


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


def spelled(token: str, dialect: str) -> str:
    """How captions have a token: itself, another spelling, or "" for what only lays them out."""
    if token in chosen_vocabulary("wide", dialect):
        return token
    for raw in (token, f"{token}{{a}}{{b}}"):
        try:
            found = normalise(raw, dialect)
        except LatexError:
            continue
        if token in found:
            return token
        return " ".join(found if raw == token else [t for t in found[:1] if t not in "ab"])
    return ""
