import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hmer.errors import InkError
from hmer.ink.codec import RESOLUTION, pack, unpack
from hmer.ink.strokes import Ink, Symbol

coordinates = st.floats(-1000, 1000, width=32)
strokes = st.lists(
    st.lists(st.tuples(coordinates, coordinates), min_size=1, max_size=8), max_size=6
)


@given(strokes, st.data())
def test_round_trip_within_half_a_step(
    points: list[list[tuple[float, float]]], data: st.DataObject
) -> None:
    symbols: tuple[Symbol, ...] = ()
    if points:
        index = st.lists(st.integers(0, len(points) - 1), max_size=4)
        token = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"))
        place = st.none() | st.integers(0, 2**31 - 1)
        drawn = data.draw(st.lists(st.tuples(token, index, place), max_size=4))
        symbols = tuple(Symbol(t, tuple(i), p) for t, i, p in drawn)
    ink = Ink(tuple(np.array(stroke, np.float32) for stroke in points), symbols)
    found = unpack(pack(ink))
    assert found.symbols == symbols
    assert len(found.strokes) == len(ink.strokes)
    for one, other in zip(ink.strokes, found.strokes, strict=True):
        assert other.dtype == np.float32
        np.testing.assert_allclose(other, one, atol=0.5 / RESOLUTION + 1e-4)
    assert pack(found) == pack(ink)


def test_short_steps_take_two_bytes() -> None:
    steps = np.full((1001, 2), 0.2, np.float32).cumsum(axis=0)
    assert len(pack(Ink((steps,)))) < 2 * 1000 + 40


def test_packing_refuses_what_it_cannot_keep() -> None:
    dot = np.zeros((1, 2), np.float32)
    with pytest.raises(InkError):
        pack(Ink((np.full((1, 2), np.nan, np.float32),)))
    with pytest.raises(InkError):
        pack(Ink((np.empty((0, 2), np.float32),)))
    with pytest.raises(ValueError, match="does not fit"):
        pack(Ink((dot,), (Symbol("x", (1,)),)))
    with pytest.raises(ValueError, match="does not fit"):
        pack(Ink((dot,), (Symbol("x\ny", (0,)),)))
    with pytest.raises(ValueError, match="place"):
        pack(Ink((dot,), (Symbol("x", (0,), -1),)))


def test_places_cost_nothing_where_there_are_none() -> None:
    dot = np.zeros((1, 2), np.float32)
    plain = pack(Ink((dot,), (Symbol("x", (0,)),)))
    placed = pack(Ink((dot,), (Symbol("x", (0,), 3),)))
    assert (plain[0], placed[0]) == (1, 2)  # what older data hold is still written, and read
    assert len(placed) == len(plain) + 4


GOOD = pack(Ink((np.arange(12, dtype=np.float32).reshape(6, 2),), (Symbol("x", (0,), 7),)))


@given(st.integers(0, len(GOOD) - 1), st.integers(0, 255), st.booleans())
def test_damage_is_an_ink_error_or_ink(at: int, value: int, cut: bool) -> None:
    data = GOOD[:at] if cut else GOOD[:at] + bytes([value]) + GOOD[at + 1 :]
    try:
        found = unpack(data)
    except InkError:
        return
    assert all(len(stroke) for stroke in found.strokes)
    assert all(i < len(found.strokes) for symbol in found.symbols for i in symbol.strokes)


@given(st.binary(max_size=80))
def test_noise_is_an_ink_error_or_ink(data: bytes) -> None:
    with contextlib.suppress(InkError):
        unpack(data)
