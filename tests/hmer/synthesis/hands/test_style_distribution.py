import numpy as np
import pytest

from hmer.synthesis.hands.style_distribution import LEVELS, MEASURED, Habit

SKEWED = Habit(0.4, (0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 4.0))


def test_instances_follow_the_quantiles() -> None:
    rng = np.random.default_rng(0)
    drawn = [SKEWED.value(*rng.standard_normal(2).tolist()) for _ in range(20_000)]
    found = np.quantile(drawn, LEVELS[1:-1])
    assert found == pytest.approx(SKEWED.quantiles[1:-1], rel=0.06)
    assert min(drawn) == 0.0 and max(drawn) == 4.0
    assert SKEWED.median == 0.4 == SKEWED.value(0.0, 0.0)


def test_the_share_between_hands_is_how_instances_correlate() -> None:
    straight = Habit(0.6, tuple(np.linspace(-2, 2, len(LEVELS)).tolist()))
    rng = np.random.default_rng(0)
    pairs = [
        [straight.value(own, rng.standard_normal()) for _ in range(2)]
        for own in rng.standard_normal(5000).tolist()
    ]
    assert np.corrcoef(np.array(pairs).T)[0, 1] == pytest.approx(0.6, abs=0.05)


def test_the_measured_habits_are_distributions() -> None:
    assert len(MEASURED) > 60
    for name, habit in MEASURED.items():
        assert len(habit.quantiles) == len(LEVELS), name
        assert list(habit.quantiles) == sorted(habit.quantiles), name
        assert 0 <= habit.between <= 0.9, name
