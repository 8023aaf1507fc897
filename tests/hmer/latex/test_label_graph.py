"""Label graphs of captions, by hand, and the files that hold them."""

from __future__ import annotations

import csv

import pytest

from hmer.latex.label_graph import label_graph


@pytest.mark.parametrize(
    ("caption", "expected"),
    [
        ("x ^ { 2 } + y", "x 2 Sup, x + Right, + y Right"),
        ("x _ { i } ^ { 2 }", "x i Sub, x 2 Sup"),
        (r"\frac { a b } { c } d", "- a Above, a b Right, - c Below, - d Right"),
        (r"\sqrt [ 3 ] { x + }", r"\sqrt 3 Above, \sqrt x Inside, x + Right"),
        # Limits are where CROHME has them, however they are spelled.
        (r"\sum _ { i } ^ { n } x", r"\sum i Below, \sum n Above, \sum x Right"),
        (r"\sum \limits _ { i } ^ { n } x", r"\sum i Below, \sum n Above, \sum x Right"),
        (r"\int \limits _ { a } ^ { b } x", r"\int a Sub, \int b Sup, \int x Right"),
        (r"\log _ { 2 } x", r"\log 2 Sub, \log x Right"),
        # Groups that only group are nothing that is seen.
        ("{ a b } ^ { 2 } c", "a b Right, b 2 Sup, b c Right"),
        ("a , < b", r"a COMMA Right, COMMA \lt Right, \lt b Right"),
        ("x ^ {", ""),
    ],
)
def test_relations(caption: str, expected: str) -> None:
    tokens = caption.split()
    symbols = [i for i, token in enumerate(tokens) if token not in "{ } ^ _ [ ] \\limits".split()]
    graph = label_graph(tokens, {place: [n] for n, place in enumerate(symbols)})
    found = [
        f"{graph.labels[parent]} {graph.labels[child]} {relation}"
        for (parent, child), relation in graph.relations.items()
    ]
    assert sorted(found) == sorted(expected.split(", ") if expected else [])


def test_a_file_holds_the_graph_as_lgeval_reads_it() -> None:
    strokes = {0: [2, 0], 2: [1], 5: [3, 4], 7: []}
    text = label_graph("x ^ 2 _ { x , y".split(), strokes).to_lg()
    rows = [row for row in csv.reader(text.splitlines(), skipinitialspace=True) if row[0] in "OR"]
    assert rows == [
        ["O", "x_1", "x", "1.0", "0", "2"],
        ["O", "2_1", "2", "1.0", "1"],
        ["O", "x_2", "x", "1.0", "3", "4"],
    ]
    fraction = label_graph(r"\frac { x } { , }".split(), {0: [1], 2: [0], 5: [2]}).to_lg()
    lines = fraction.splitlines()
    assert lines[1:4] == ["O, -_1, -, 1.0, 1", "O, x_1, x, 1.0, 0", "O, COMMA_1, COMMA, 1.0, 2"]
    assert lines[5:] == ["R, -_1, x_1, Above, 1.0", "R, -_1, COMMA_1, Below, 1.0"]
    assert lines[0][0] == lines[4][0] == "#"
