import numpy as np
import pytest

from hmer.synthesis.hands.manner import PlainManner
from hmer.synthesis.hands.writer import Writer
from hmer.synthesis.layout.spacing import gap


def test_a_careful_hand_follows_its_writer() -> None:
    writer = Writer.draw(3)
    manner = PlainManner(writer)
    rng = np.random.default_rng(0)
    blanks = [manner.blank("a", "b", "=", rng) for _ in range(400)]
    assert np.mean(blanks) == pytest.approx(gap("a", "b", "=") * writer.spacing, abs=0.02)
    assert min(blanks) >= 0.05
    assert manner.fraction(rng).scale == writer.fraction_scale
    assert manner.index_scale(rng) < writer.script_scale
    wobbles = [manner.wobble(rng) for _ in range(2000)]
    assert np.std(wobbles) == pytest.approx(writer.baseline_spread, rel=0.1)


def test_where_limits_stand() -> None:
    rng = np.random.default_rng(0)
    beside = {seed: Writer.draw(seed).limits_beside for seed in range(40)}
    assert 0 < sum(beside.values()) < 20
    for seed, expected in beside.items():
        manner = PlainManner(Writer.draw(seed))
        assert manner.limits_beside(r"\sum", rng) == expected
        assert manner.limits_beside(r"\int", rng) and not manner.limits_beside(r"\lim", rng)
