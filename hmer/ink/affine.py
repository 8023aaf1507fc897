"""Affine maps between the pixels of a picture and of what has been made of it.

Maps are homogeneous, float (3, 3), and act on x, y, 1; pixel (row, column) covers
[column, column + 1) x [row, row + 1). `outer @ inner` applies the inner one first.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Affine = NDArray[np.float64]


def moved(x: float, y: float) -> Affine:
    """Shifts to the right and downwards."""
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], np.float64)


def scaled(x: float, y: float) -> Affine:
    """Stretches both axes."""
    return np.diag([x, y, 1.0])


def turned(degrees: float) -> Affine:
    """Turns clockwise (as one sees it: y grows downwards) around the origin."""
    angle = np.deg2rad(degrees)
    return np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )


def mapped_points(points: NDArray[np.floating], affine: Affine) -> NDArray[np.float64]:
    """Where the points (n, 2), x before y, come to lie."""
    found: NDArray[np.float64] = points @ affine[:2, :2].T + affine[:2, 2]
    return found


def mapped(box: tuple[float, ...], affine: Affine) -> tuple[float, float, float, float]:
    """The box (left, top, right, bottom) around the image of a box."""
    left, top, right, bottom = box
    corners = np.array([[left, top], [right, top], [left, bottom], [right, bottom]])
    points = mapped_points(corners, affine)
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    return float(left), float(top), float(right), float(bottom)
