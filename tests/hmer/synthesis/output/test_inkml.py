from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hmer.ink.inkml import read_inkml
from hmer.ink.strokes import Ink, Symbol
from hmer.synthesis.compose import Composer
from hmer.synthesis.grammar.grammar import Grammar, GrammarConfig
from hmer.synthesis.output.inkml import STEPS, contradiction, to_inkml
from hmer.synthesis.written import Written


def test_composed_ink_says_what_was_meant() -> None:
    composer = Composer(None, Grammar(GrammarConfig(max_tokens=30)))
    rng = np.random.default_rng(4)
    for _ in range(40):
        written = composer(rng)
        assert written is not None
        assert contradiction(to_inkml(written, "hand"), written) is None


def written() -> Written:
    strokes = tuple(np.array([[i, 0], [i + 0.5, 1]], np.float32) for i in range(3))
    symbols = tuple(Symbol(token, (i,), p) for i, (token, p) in enumerate([("x", 0), ("2", 3)]))
    plus = Symbol("+", (2,), 5)
    return Written(Ink(strokes, (*symbols, plus)), "x ^ { 2 } +".split(), "compose")


def test_device_units_are_whole_numbers() -> None:
    document = read_inkml(to_inkml(written(), "ann", "w-1"), "file")
    assert (document.writer, document.ui, document.latex) == ("ann", "w-1", "x ^ { 2 } +")
    points = np.concatenate(document.ink.strokes)
    np.testing.assert_array_equal(points, np.rint(points))
    np.testing.assert_array_equal(document.ink.strokes[1], [[STEPS, 0], [1.5 * STEPS, STEPS]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tokens": "y ^ { 2 } +".split()}, "caption"),
        ({"ink": Ink(written().ink.strokes[::-1], written().ink.symbols)}, "strokes run"),
        (
            {
                "ink": replace(
                    written().ink,
                    symbols=(Symbol("x", (1,), 0), Symbol("2", (0,), 3), Symbol("+", (2,), 5)),
                )
            },
            "symbols stand",
        ),
        ({"ink": replace(written().ink, symbols=())}, "symbols stand"),
    ],
)
def test_every_difference_is_told(change: dict[str, object], message: str) -> None:
    data = to_inkml(written(), "ann")
    assert contradiction(data, written()) is None
    found = contradiction(data, replace(written(), **change))  # type: ignore[arg-type]
    assert found is not None and message in found


def test_groups_that_contradict_the_label_are_told() -> None:
    data = to_inkml(written(), "ann")
    for wrong in (
        data.replace(b'<traceView traceDataRef="2" />', b""),
        data.replace(b'href="s3"', b'href="s9"').replace(b">2</annotation>", b">3</annotation>"),
    ):
        assert wrong != data
        assert contradiction(wrong, written()) is not None
    assert "not InkML" in str(contradiction(b"<a/>", written()))
