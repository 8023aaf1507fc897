import numpy as np
import pytest
from pydantic import ValidationError

from hmer.ink.augment import AugmentConfig, augment, drop_strokes
from hmer.ink.strokes import Ink, Symbol

STILL = AugmentConfig(
    scale=1,
    aspect=1,
    rotation=0,
    shear=0,
    stroke_shift=0,
    stroke_scale=0,
    stroke_rotation=0,
    elastic=0,
)
INK = Ink(
    tuple(
        np.asarray(np.random.default_rng(n).random((5 + n, 2)) * 4 + [3 * n, 0], np.float32)
        for n in range(6)
    ),
    (Symbol("x", (0, 1)),),
)


def flat(ink: Ink) -> np.ndarray:
    return np.concatenate(ink.strokes)


def test_points_correspond_and_symbols_stay() -> None:
    for seed in range(20):
        found = augment(INK, np.random.default_rng(seed), AugmentConfig())
        assert [s.shape for s in found.strokes] == [s.shape for s in INK.strokes]
        assert all(s.dtype == np.float32 for s in found.strokes)
        assert found.symbols == INK.symbols
        assert not np.allclose(flat(found), flat(INK), atol=0.01)


def test_same_generator_state_gives_the_same_ink() -> None:
    one, other = (augment(INK, np.random.default_rng(7), AugmentConfig()) for _ in range(2))
    np.testing.assert_array_equal(flat(one), flat(other))


def test_all_zeros_change_nothing() -> None:
    found = augment(INK, np.random.default_rng(0), STILL)
    np.testing.assert_allclose(flat(found), flat(INK), atol=1e-5)


def change(**settings: float) -> list[np.ndarray]:
    """Singular values and so on: the linear maps that 200 draws apply to the whole ink."""
    maps = []
    for seed in range(200):
        found = augment(INK, np.random.default_rng(seed), STILL.model_copy(update=dict(settings)))
        maps.append(np.linalg.lstsq(flat(INK), flat(found), rcond=None)[0].T)
    return maps


def test_scale_keeps_its_range_and_shape() -> None:
    sizes = [np.linalg.svd(m, compute_uv=False) for m in change(scale=1.5)]
    assert all(s[0] == pytest.approx(s[1], abs=1e-4) for s in sizes)
    factors = np.array([s[0] for s in sizes])
    assert 1 / 1.501 < factors.min() < 0.72
    assert 1.4 < factors.max() < 1.501


def test_rotation_keeps_its_range_and_size() -> None:
    maps = change(rotation=10)
    angles = np.array([np.degrees(np.arctan2(m[1, 0], m[0, 0])) for m in maps])
    assert -10.01 < angles.min() < -8
    assert 8 < angles.max() < 10.01
    assert all(np.linalg.det(m) == pytest.approx(1, abs=1e-4) for m in maps)


def test_shear_leaves_heights_alone() -> None:
    for matrix in change(shear=0.3):
        np.testing.assert_allclose(matrix[1], [0, 1], atol=1e-4)
        assert abs(matrix[0, 1]) < 0.301


def test_stroke_jitter_moves_strokes_as_wholes() -> None:
    found = augment(INK, np.random.default_rng(1), STILL.model_copy(update={"stroke_shift": 0.5}))
    shifts = [(new - old) for new, old in zip(found.strokes, INK.strokes, strict=True)]
    for shift in shifts:
        np.testing.assert_allclose(shift, shift[:1].repeat(len(shift), 0), atol=1e-4)
    assert np.std([shift[0] for shift in shifts]) > 0.1


def test_elastic_is_smooth_and_of_the_size_asked_for() -> None:
    grid = np.stack(np.meshgrid(np.arange(0, 60, 0.5), np.arange(0, 60, 0.5)), -1)
    ink = Ink((grid.reshape(-1, 2).astype(np.float32),))
    config = STILL.model_copy(update={"elastic": 0.1, "elastic_length": 4.0})
    moves = [flat(augment(ink, np.random.default_rng(n), config)) - flat(ink) for n in range(10)]
    assert np.std(moves) == pytest.approx(0.1, rel=0.25)
    field = moves[0].reshape(*grid.shape[:2], 2)
    assert np.abs(np.diff(field, axis=0)).max() < 0.5 * 0.1 * 2 * np.pi / 4 * 6


def test_empty_ink_stays_empty() -> None:
    assert augment(Ink(()), np.random.default_rng(0), AugmentConfig()) == Ink(())


def test_dropping_strokes() -> None:
    rng = np.random.default_rng(0)
    assert drop_strokes(INK, rng, 0.0) == tuple(range(6))
    assert all(len(drop_strokes(INK, rng, 1.0)) == 1 for _ in range(20))
    kept = [len(drop_strokes(INK, rng, 0.3)) for _ in range(500)]
    assert np.mean(kept) == pytest.approx(6 * 0.7, abs=0.2)
    with pytest.raises(ValueError, match="rate"):
        drop_strokes(INK, rng, 1.5)
    with pytest.raises(ValueError, match="0 strokes"):
        drop_strokes(Ink(()), rng, 0.5)


def test_unknown_or_wild_settings_are_refused() -> None:
    with pytest.raises(ValidationError):
        AugmentConfig(rotation=100)
    with pytest.raises(ValidationError):
        AugmentConfig.model_validate({"rotatoin": 1})
