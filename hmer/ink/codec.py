"""Ink as few bytes, for a column of the dataset.

Layout, little endian: a header (version, bytes per step, counts), points per stroke, the jump to
each stroke's first point from the last one's end, the steps between points, then the symbols:
strokes per symbol, their indices, and the tokens, one per line in UTF-8. Version 2, written where
a symbol knows its place in the caption, has the places before the tokens, -1 where unknown.
"""

from __future__ import annotations

import struct

import numpy as np

from hmer.errors import InkError
from hmer.ink.strokes import Ink, Symbol

RESOLUTION = 200
"""Steps per unit: normalised ink is kept to 1/200 of a symbol, a tenth of a pixel at 20 pixels."""

_PLAIN, _PLACED = 1, 2
_NO_PLACE = -1
_HEADER = struct.Struct("<BBIIII")  # version, step size, strokes, points, symbols, their strokes
_STEPS = {1: "<i1", 2: "<i2", 4: "<i4"}


def pack(ink: Ink) -> bytes:
    """The ink, rounded to 1/`RESOLUTION`, as bytes.

    Raises:
        InkError: a stroke is empty, or coordinates are not finite or too large.
        ValueError: a symbol names a stroke that is not there, its token has a line break, or its
            place is negative.
    """
    lengths = np.array([len(stroke) for stroke in ink.strokes], "<u4")
    if not lengths.all():
        raise InkError("a stroke has no points")
    for symbol in ink.symbols:
        if "\n" in symbol.token or not all(0 <= i < len(lengths) for i in symbol.strokes):
            raise ValueError(f"symbol {symbol!r} does not fit ink of {len(lengths)} strokes")
        if symbol.place is not None and not 0 <= symbol.place < 2**31:
            raise ValueError(f"symbol {symbol!r} has an impossible place")
    points = np.concatenate([np.zeros((1, 2)), *ink.strokes]).astype(np.float64) * RESOLUTION
    if not (np.abs(points) < 2**30).all():
        raise InkError("coordinates are not finite, or too large to store")
    steps = np.diff(np.rint(points).astype(np.int64), axis=0)
    first = np.cumsum(lengths, dtype=np.int64) - lengths
    inner = np.delete(steps, first, axis=0)
    largest = int(np.abs(inner).max(initial=0))
    size = 1 if largest < 2**7 else 2 if largest < 2**15 else 4
    chosen = [index for symbol in ink.symbols for index in symbol.strokes]
    counts = [len(symbol.strokes) for symbol in ink.symbols]
    places = [_NO_PLACE if symbol.place is None else symbol.place for symbol in ink.symbols]
    version = _PLACED if any(place != _NO_PLACE for place in places) else _PLAIN
    header = _HEADER.pack(version, size, len(lengths), len(steps), len(counts), len(chosen))
    parts = (
        lengths.tobytes(),
        steps[first].astype("<i4").tobytes(),
        inner.astype(_STEPS[size]).tobytes(),
        np.array(counts, "<u2").tobytes(),
        np.array(chosen, "<u2").tobytes(),
        np.array(places, "<i4").tobytes() if version == _PLACED else b"",
        "\n".join(symbol.token for symbol in ink.symbols).encode(),
    )
    return header + b"".join(parts)


def unpack(data: bytes) -> Ink:
    """The ink that `pack` stored.

    Raises:
        InkError: the bytes are not packed ink, or damaged.
    """
    try:
        return _unpack(data)
    except (struct.error, ValueError, KeyError, IndexError, OverflowError) as error:
        raise InkError(f"packed ink is damaged ({error}); run ingest again") from error


def _unpack(data: bytes) -> Ink:
    version, size, strokes, count, symbols, chosen = _HEADER.unpack_from(data)
    if version not in (_PLAIN, _PLACED):
        raise ValueError(f"version {version} is unknown")
    at = _HEADER.size

    def take(kind: str, number: int) -> np.ndarray:
        nonlocal at
        values = np.frombuffer(data, kind, number, at)
        at += values.nbytes
        return values

    lengths = take("<u4", strokes).astype(np.int64)
    if lengths.sum() != count or not lengths.all():
        raise ValueError("point counts disagree")
    first = np.cumsum(lengths) - lengths
    steps = np.empty((count, 2), np.int64)
    inner = np.ones(count, bool)
    inner[first] = False
    steps[first] = take("<i4", 2 * strokes).reshape(-1, 2)
    steps[inner] = take(_STEPS[size], 2 * (count - strokes)).reshape(-1, 2)
    points = (np.cumsum(steps, axis=0) / RESOLUTION).astype(np.float32)
    per_symbol = take("<u2", symbols).astype(np.int64)
    indices = take("<u2", chosen).tolist()
    places = [_NO_PLACE] * symbols
    if version == _PLACED:
        places = take("<i4", symbols).tolist()
    tokens = data[at:].decode().split("\n") if symbols else []
    if per_symbol.sum() != chosen or len(tokens) != symbols:
        raise ValueError("symbol counts disagree")
    if indices and max(indices) >= strokes:
        raise ValueError("a symbol names a stroke that is not there")
    ends = np.cumsum(per_symbol).tolist()
    return Ink(
        tuple(np.split(points, first[1:])) if strokes else (),
        tuple(
            Symbol(token, tuple(indices[end - number : end]), place if place >= 0 else None)
            for token, end, number, place in zip(
                tokens, ends, per_symbol.tolist(), places, strict=True
            )
        ),
    )
