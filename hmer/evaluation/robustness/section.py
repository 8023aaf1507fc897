"""Robustness as sections of the report: one per way of taking something away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hmer.data.dataset import Expressions
from hmer.evaluation.figures.robustness import Shown, robustness_plot, robustness_sheet
from hmer.evaluation.robustness.config import OcclusionConfig
from hmer.evaluation.robustness.curves import RobustnessPoint
from hmer.evaluation.robustness.degraded import OCCLUSION, STROKES, SYMBOLS, Series
from hmer.evaluation.robustness.trials import Trial
from hmer.evaluation.section import Figure, Section, Table

SHOWN = 3
"""Expressions on a picture sheet."""

EASY = (4, 16)
"""Tokens of expressions that are preferred on a picture sheet: neither trivial nor tiny."""

RATES = (
    "level", "taken", "n", "exprate", "exprate_low", "exprate_high", "loss", "loss_low",
    "loss_high",
)  # fmt: skip
ERRORS = ("level", "cer", "cer_rise", "cer_rise_low", "cer_rise_high")


@dataclass(frozen=True, slots=True)
class Wording:
    """How one series is told."""

    title: str
    axis: str
    text: str
    percent: bool
    """Levels are shares, not counts."""

    def level(self, level: float) -> int:
        """The level as it is told: whole percent, or a count."""
        return round(100.0 * level) if self.percent else round(level)

    def label(self, level: float) -> str:
        """The level beside a picture."""
        return f"{self.level(level)} %" if self.percent else str(self.level(level))


WORDINGS = {
    OCCLUSION: Wording(
        "Hidden ink",
        "ink hidden, %",
        "Square blocks, {block:g} symbol units wide and centred on ink, hide a growing share of "
        "the ink of {n} expressions; each level hides more in the places of the one before.",
        percent=True,
    ),
    STROKES: Wording(
        "Missing strokes",
        "strokes missing, %",
        "{n} expressions are redrawn without a growing share of their strokes, as if the pen had "
        "not touched; each level takes further strokes. The share is exact on average: a short "
        "expression often loses none.",
        percent=True,
    ),
    SYMBOLS: Wording(
        "Missing symbols",
        "symbols missing",
        "{n} expressions are redrawn without one, two or more of their symbols, while the truth "
        "keeps them: what is still right was guessed from the rest, by what usually stands there.",
        percent=False,
    ),
}
PAIRED = (
    " Loss is in points of ExpRate against the same expressions as they are, decoded in the same "
    "way ({decoding}), with a 95 % paired bootstrap interval."
)


def robustness_sections(
    series: Sequence[Series],
    curves: Mapping[str, Sequence[RobustnessPoint]],
    trials: Sequence[Trial],
    expressions: Expressions,
    config: OcclusionConfig,
    seed: int,
) -> list[Section]:
    """One section per series, in order; the arguments are those of `robustness_section`."""
    return [
        robustness_section(
            row,
            curves.get(row.name, ()),
            [trial for trial in trials if trial.series == row.name],
            expressions,
            config,
            seed,
        )
        for row in series
    ]


def robustness_section(
    series: Series,
    points: Sequence[RobustnessPoint],
    trials: Sequence[Trial],
    expressions: Expressions,
    config: OcclusionConfig,
    seed: int,
) -> Section:
    """One series as a section; without numbers where no expression can take part.

    Args:
        series: what was taken away.
        points: its curve; empty where it has no members.
        trials: its readings.
        expressions: of the set.
        config: how it was measured.
        seed: of the draw of pictures.
    """
    wording = WORDINGS[series.name]
    note = "".join(f" Left out: {count} {reason}." for reason, count in series.left_out.items())
    if not points:
        text = f"Not measured: no expression can take part.{note}"
        return Section(series.name, wording.title, text)
    beam = config.decoding.beam
    text = wording.text.format(n=len(series.members), block=config.block)
    text += PAIRED.format(decoding="greedy" if beam == 1 else f"beam {beam}") + note
    return Section(
        series.name,
        wording.title,
        text,
        _numbers(points, wording),
        _tables(points, wording),
        [
            Figure(
                "curve",
                lambda: robustness_plot(points, wording.title, wording.axis, wording.percent),
                "Left: what is still read. Right: what that costs, paired by expression. Bands "
                "are 95 % bootstrap intervals.",
            ),
            Figure(
                "sheet",
                lambda: robustness_sheet(
                    _shown(series, trials, expressions, seed),
                    [wording.label(level) for level in (0.0, *series.levels)],
                ),
                "A few expressions, if possible such as are read right as they are, and what was "
                "read at each level.",
            ),
        ],
    )


def _numbers(points: Sequence[RobustnessPoint], wording: Wording) -> dict[str, float]:
    numbers: dict[str, float] = {"n": points[0].scores.n}
    for point in points:
        level = wording.level(point.level)
        numbers[f"exprate_{level}"] = point.scores.exprate
        numbers[f"cer_{level}"] = point.scores.cer
        if point.level:
            numbers[f"loss_{level}"] = point.loss.mean
    taken = [point.scores.exprate for point in points if point.level]
    return {**numbers, "exprate_mean": float(np.mean(taken))}


def _tables(points: Sequence[RobustnessPoint], wording: Wording) -> list[Table]:
    rates = [
        (wording.level(p.level), 100.0 * p.share, p.scores.n, *p.exprate, *p.loss) for p in points
    ]
    errors = [(wording.level(p.level), p.scores.cer, *p.cer_rise) for p in points]
    return [
        Table(RATES, rates, "What is still read, and the points of ExpRate lost, in percent."),
        Table(ERRORS, errors, "Character errors and their rise, in percent."),
    ]


def _shown(
    series: Series, trials: Sequence[Trial], expressions: Expressions, seed: int
) -> list[Shown]:
    """A few expressions at all levels: at random, those read right as they are first."""
    readings = {(trial.id, trial.level): trial for trial in trials}

    def rank(index: int) -> tuple[bool, bool]:
        whole = readings[expressions.ids[index], 0.0]
        return not whole.correct, not EASY[0] <= len(whole.truth) <= EASY[1]

    order = np.random.default_rng([seed, 3]).permutation(len(series.members))
    drawn = sorted((series.members[place] for place in order), key=rank)[:SHOWN]
    levels = (0.0, *series.levels)
    return [
        Shown(
            expressions.tokens[index],
            [series.degrade(index, level).image for level in levels],
            [readings[expressions.ids[index], float(level)].tokens for level in levels],
        )
        for index in drawn
    ]
