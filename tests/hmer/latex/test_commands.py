from __future__ import annotations

import pytest

from hmer.latex.commands import split_children
from hmer.latex.parse import parse


@pytest.mark.parametrize(
    ("caption", "parts", "scripts"),
    [
        ("x ^ { 2 }", [], ["sup"]),
        (r"\frac { a } { b } _ { 1 }", ["above", "below"], ["sub"]),
        (r"\sqrt { x } ^ { 2 }", ["inside"], ["sup"]),
        (r"\sqrt [ 3 ] { x }", ["index", "inside"], []),
        (r"\int \limits _ { 0 } ^ { 1 }", [], ["below", "above"]),
        ("{ a } _ { 1 }", ["inside"], ["sub"]),
        ("^ { 2 }", [], ["sup"]),
    ],
)
def test_parts_and_scripts_are_told_apart(
    caption: str, parts: list[str], scripts: list[str]
) -> None:
    (node,) = parse(caption.split())
    found = split_children(node)
    assert [[str(kind) for kind, _ in children] for children in found] == [parts, scripts]
