"""Distortions of ink as another hand, or the same hand on another day, would have written it.

All of them move points and nothing else: the n-th point of the result is the n-th point of the
input, so that two augmented copies of one ink correspond point by point.
"""

from __future__ import annotations

import math

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from hmer.ink.strokes import Ink

_WAVES = 6  # sinusoids per axis in the elastic field: enough to look irregular


class AugmentConfig(BaseModel):
    """How far ink may be distorted; lengths are in symbol units. All zeros changes nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scale: float = Field(default=1.35, ge=1, le=4, description="size factor, drawn from [1/s, s]")
    aspect: float = Field(
        default=1.15, ge=1, le=2, description="width to height factor, from [1/a, a]"
    )
    rotation: float = Field(default=4.0, ge=0, le=45, description="largest rotation in degrees")
    shear: float = Field(
        default=0.2, ge=0, le=1, description="largest slant, horizontal shift per height"
    )
    stroke_shift: float = Field(
        default=0.03, ge=0, le=1, description="standard deviation per stroke"
    )
    stroke_scale: float = Field(
        default=0.04, ge=0, le=0.5, description="sd of the log size per stroke"
    )
    stroke_rotation: float = Field(default=2.0, ge=0, le=30, description="sd in degrees per stroke")
    elastic: float = Field(default=0.08, ge=0, le=1, description="sd of the smooth displacement")
    pen: float = Field(1.3, ge=1, le=4, description="pen width factor, drawn from [1/p, p]")
    elastic_length: float = Field(default=2.5, ge=0.5, le=50, description="its shortest wavelength")


def augment(ink: Ink, rng: np.random.Generator, config: AugmentConfig) -> Ink:
    """A distorted copy with the same strokes, points and symbols.

    Args:
        ink: in symbol units.
        rng: source of all randomness; the same state gives the same result.
        config: the ranges.
    """
    if not ink.strokes:
        return ink
    points = np.concatenate(ink.strokes).astype(np.float64)
    owner = np.repeat(np.arange(len(ink.strokes)), [len(stroke) for stroke in ink.strokes])
    points = _jitter(points, owner, rng, config)
    points = points + _elastic(points, rng, config)
    points = points @ _matrix(rng, config).T
    moved = points.astype(np.float32)
    cuts = np.flatnonzero(np.diff(owner)) + 1
    return Ink(tuple(np.split(moved, cuts)), ink.symbols)


def drop_strokes(ink: Ink, rng: np.random.Generator, rate: float) -> tuple[int, ...]:
    """Indices of the strokes that stay when each is lost with probability `rate`; at least one.

    Raises:
        ValueError: the rate is not in [0, 1], or there are no strokes.
    """
    if not 0 <= rate <= 1 or not ink.strokes:
        raise ValueError(f"cannot drop strokes at rate {rate} from {len(ink.strokes)} strokes")
    draws = rng.random(len(ink.strokes))
    kept = np.flatnonzero(draws >= rate)
    # Where all would go, the one that came closest to staying does.
    return tuple(kept.tolist()) or (int(draws.argmax()),)


def _matrix(rng: np.random.Generator, config: AugmentConfig) -> np.ndarray:
    """The global affine map, (2, 2): rotation after shear after scaling."""
    size = config.scale ** rng.uniform(-1, 1)
    stretch = config.aspect ** rng.uniform(-0.5, 0.5)
    angle = math.radians(config.rotation) * rng.uniform(-1, 1)
    slant = config.shear * rng.uniform(-1, 1)
    cos, sin = math.cos(angle), math.sin(angle)
    scaling = np.diag([size * stretch, size / stretch])
    turning, slanting = np.array([[cos, -sin], [sin, cos]]), np.array([[1.0, slant], [0.0, 1.0]])
    return np.asarray(turning @ slanting @ scaling)


def _jitter(
    points: np.ndarray, owner: np.ndarray, rng: np.random.Generator, config: AugmentConfig
) -> np.ndarray:
    """Each stroke shifted, scaled and turned a little about its own centre."""
    strokes = int(owner[-1]) + 1
    count = np.bincount(owner, minlength=strokes)[:, None]
    centre = np.stack([np.bincount(owner, points[:, axis], strokes) for axis in (0, 1)], 1) / count
    shift = config.stroke_shift * rng.standard_normal((strokes, 2))
    size = np.exp(config.stroke_scale * rng.standard_normal(strokes))
    angle = math.radians(config.stroke_rotation) * rng.standard_normal(strokes)
    cos, sin = (size * np.cos(angle))[owner], (size * np.sin(angle))[owner]
    offset = points - centre[owner]
    turned = np.stack(
        [cos * offset[:, 0] - sin * offset[:, 1], sin * offset[:, 0] + cos * offset[:, 1]], axis=1
    )
    return np.asarray((centre + shift)[owner] + turned)


def _elastic(points: np.ndarray, rng: np.random.Generator, config: AugmentConfig) -> np.ndarray:
    """A smooth random displacement per point, (n, 2): a sum of plane waves per axis.

    A function of position alone: points that were close, of whatever stroke, stay close.
    """
    length = config.elastic_length * 3 ** rng.random((2, _WAVES))
    heading = rng.uniform(0, 2 * math.pi, (2, _WAVES))
    phase = rng.uniform(0, 2 * math.pi, (2, _WAVES))
    wave = np.stack([np.cos(heading), np.sin(heading)]) * (2 * math.pi / length)
    angle = np.einsum("na,akw->nkw", points, wave) + phase
    return np.asarray(config.elastic * math.sqrt(2 / _WAVES) * np.sin(angle).sum(axis=2))
