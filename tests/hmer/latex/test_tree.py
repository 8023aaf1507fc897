from __future__ import annotations

from hmer.latex.parse import parse
from hmer.latex.tokens import tokenize
from hmer.latex.tree import Node, Relation, expression_depth, grounded, symbol_count, walk


def test_child_finds_the_row_of_a_relation() -> None:
    row = (Node("2"),)
    node = Node("x", ((Relation.SUP, row),))
    assert node.child(Relation.SUP) == row
    assert node.child(Relation.SUB) is None


def test_depth_and_count() -> None:
    assert expression_depth(()) == 0
    assert expression_depth(parse(["x", "+", "y"])) == 0
    nested = parse(tokenize(r"x + \frac { a ^ { b _ { i } } } { c }"))
    assert expression_depth(nested) == 3
    assert symbol_count(nested) == 7  # x + bar a b i c


def test_walk_visits_parents_before_children() -> None:
    nested = parse(tokenize(r"\sqrt [ n ] { x ^ { 2 } } + { y }"))
    assert [node.token for node in walk(nested)] == ["\\sqrt", *"nx2+", "", "y"]


def test_only_scripts_without_base_are_grounded() -> None:
    script = Node("", ((Relation.SUP, (Node("2"),)),))
    assert grounded(Node("x")) == Node("x")
    assert grounded(script).children == ((Relation.INSIDE, ()), *script.children)
    assert grounded(grounded(script)) == grounded(script)
