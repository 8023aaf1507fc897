import numpy as np
import pytest

from hmer.latex.tree import Relation
from hmer.synthesis.hands.placement_style import FittedManner, PlainManner
from hmer.synthesis.hands.style_distribution import MEASURED
from hmer.synthesis.hands.writer import Writer
from hmer.synthesis.layout.box import Box, gap


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


SEEDS = range(40)


def block(width: float, top: float, bottom: float) -> Box:
    points = np.array([(0.0, top), (width, bottom)])
    return Box.of("x", (points,))


def manner(seed: int) -> tuple[FittedManner, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return FittedManner(rng), rng


@pytest.mark.parametrize("seed", SEEDS)
def test_scripts_do_not_end_up_on_the_line(seed: int) -> None:
    hand, rng = manner(seed)
    upper, lower = block(0.6, -1.2, 0.0), block(0.6, -1.2, 0.0)
    base = block(0.7, -0.8, 0.0)
    hand.scripts(base, "x", {Relation.SUB: lower, Relation.SUP: upper}, 0, rng)
    assert (upper.top + upper.bottom) / 2 < -0.5 and upper.bottom < -0.2
    assert (lower.top + lower.bottom) / 2 > -0.35 and lower.top > -0.45
    assert lower.top - upper.bottom > 0.04
    assert min(upper.left, lower.left) > 0.55 and base.right == max(upper.right, lower.right)
    assert 0.3 <= upper.height / 1.2 <= 0.9 + 1e-9


@pytest.mark.parametrize("seed", SEEDS)
def test_a_tall_exponent_stays_up(seed: int) -> None:
    hand, rng = manner(seed)
    tall = block(0.6, -2.0, 1.6)
    hand.scripts(block(0.7, -0.8, 0.0), "x", {Relation.SUP: tall}, 0, rng)
    assert tall.bottom <= -0.25 + 1e-9


@pytest.mark.parametrize("token", [r"\sum", r"\int", r"\lim", "X"])
@pytest.mark.parametrize("seed", range(10))
def test_limits_are_over_and_under(token: str, seed: int) -> None:
    hand, rng = manner(seed)
    above, below = block(0.6, -1.2, 0.0), block(0.6, -1.2, 0.0)
    base = block(1.0, -1.4, 0.2)
    hand.limits(base, token, {Relation.BELOW: below, Relation.ABOVE: above}, 0, rng)
    assert above.bottom < -0.8 and below.top > -0.4
    assert (above.top + above.bottom) / 2 < -1.4 < 0.2 < (below.top + below.bottom) / 2


def test_integrals_have_limits_beside_more_often_than_sums() -> None:
    beside = {
        token: sum(
            manner(seed)[0].limits_beside(token, np.random.default_rng(seed)) for seed in range(400)
        )
        for token in (r"\int", r"\sum", r"\lim")
    }
    assert beside[r"\int"] == pytest.approx(320, abs=40)
    assert beside[r"\sum"] < 40 and beside[r"\lim"] == 0


def test_a_hand_is_wide_or_narrow_throughout() -> None:
    def average(seed: int, pair: tuple[str, str]) -> float:
        hand, rng = manner(seed)
        return float(np.mean([hand.blank("a", *pair, rng) for _ in range(60)]))

    letters = [average(seed, ("a", "b")) for seed in range(60)]
    digits = [average(seed, ("1", "2")) for seed in range(60)]
    assert np.corrcoef(letters, digits)[0, 1] > 0.7
    assert np.mean(letters) == pytest.approx(MEASURED["gap ordinary ordinary"].median, abs=0.12)


def test_unmeasured_neighbours_have_a_gap_too() -> None:
    hand, rng = manner(0)
    assert hand.blank(None, ",", "(", rng) >= -0.1


def test_every_other_habit_can_be_drawn() -> None:
    for seed in SEEDS:
        hand, rng = manner(seed)
        fraction, radical = hand.fraction(rng), hand.radical(rng)
        assert 0.4 < fraction.scale < 1.2 and fraction.overshoot >= -0.2
        assert radical.pad >= 0 and 0.5 <= radical.scale <= 1.3
        blank, shift = hand.part(above=True, slack=0.2, rng=rng)
        assert blank >= -0.05 and abs(shift) <= 0.35 + 1e-9
        assert abs(hand.drift(rng)) < 0.2 and 0.3 <= hand.index_scale(rng) <= 0.9
        assert len(hand.cover(rng)) == 2 and abs(hand.wobble(rng)) < 0.1
