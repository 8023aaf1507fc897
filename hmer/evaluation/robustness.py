"""Robustness: what is still read of corrupted expressions, as curves and sections of the report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from hmer.data.batches import BatchConfig
from hmer.data.dataset import Expressions
from hmer.evaluation.bootstrap import Interval, paired_difference, paired_ratio, rate_interval
from hmer.evaluation.corruptions import STROKES, SYMBOLS, OcclusionConfig, Series
from hmer.evaluation.metrics import MetricsSummary, summarise
from hmer.evaluation.prediction import OCCLUSION, Trial, correctness, mark
from hmer.evaluation.reading import Count, read_all
from hmer.evaluation.report import Figure, Gallery, Picture, Section, Table, to_png
from hmer.plots import BLUE, DASHED, SERIES, WRONG, band, legend, new_figure, style
from hmer.plots import to_png as plot_png
from hmer.recognizer import Recognizer

SHOWN = 3
"""Expressions that are pictured."""

EASY = (4, 16)
"""Tokens of expressions that are preferred for pictures: neither trivial nor tiny."""


def readings_at_most(series: Sequence[Series]) -> int:
    """How many pictures `read_series` reads, where every level changes every expression."""
    return len(_members(series)) + sum(len(row.levels) * len(row.members) for row in series)


def read_series(
    recognizer: Recognizer,
    expressions: Expressions,
    series: Sequence[Series],
    config: OcclusionConfig,
    batch: BatchConfig,
    count: Count,
) -> list[Trial]:
    """Trials of all series, by series and level; level 0 is the expression as it is.

    A picture that has lost nothing is not read again. `count` adds up to `readings_at_most`.
    """
    members = _members(series)
    pictures = {index: expressions.image(index) for index in members}
    answers = read_all(recognizer, list(pictures.values()), config.decoding, batch, count)
    whole = {index: answer.tokens for index, answer in zip(members, answers, strict=True)}
    trials: list[Trial] = []
    for row in series:
        cases = [(level, index) for level in (0.0, *row.levels) for index in row.members]
        lost = [row.corrupt(index, level) for level, index in cases]
        changed = [
            place
            for place, ((_, index), part) in enumerate(zip(cases, lost, strict=True))
            if not np.array_equal(part.image, pictures[index])
        ]
        images = [lost[place].image for place in changed]
        read = read_all(recognizer, images, config.decoding, batch, count)
        count(len(row.levels) * len(row.members) - len(changed))
        again = {place: answer.tokens for place, answer in zip(changed, read, strict=True)}
        for place, (level, index) in enumerate(cases):
            id, truth = expressions.ids[index], expressions.tokens[index]
            tokens = list(again.get(place, whole[index]))
            trials.append(Trial(row.name, float(level), lost[place].share, id, truth, tokens))
    return trials


def _members(series: Sequence[Series]) -> list[int]:
    return sorted({index for row in series for index in row.members})


@dataclass(frozen=True, slots=True)
class RobustnessPoint:
    """The scores at one level, and what it costs against the same expressions as they are.

    `share` is the mean share that was taken, in [0, 1]. `exprate` is the rate at this level with
    its own interval; `loss` are the points of ExpRate lost and `cer_rise` the points of CER
    gained, both paired by expression.
    """

    level: float
    share: float
    scores: MetricsSummary
    exprate: Interval
    loss: Interval
    cer_rise: Interval


def robustness_curve(trials: Iterable[Trial]) -> list[RobustnessPoint]:
    """Points of one series, lightest level first.

    Raises:
        ValueError: an id twice at a level, or an id that is not read at level 0.
    """
    levels: dict[float, dict[str, Trial]] = defaultdict(dict)
    for trial in trials:
        if trial.id in levels[trial.level]:
            raise ValueError(f"{trial.id}: read twice at level {trial.level:g}")
        levels[trial.level][trial.id] = trial
    whole = levels.get(0.0, {})
    points = []
    for level in sorted(levels):
        taken = list(levels[level].values())
        if not levels[level].keys() <= whole.keys():
            raise ValueError(f"level {level:g} has expressions that level 0 has not")
        points.append(_point(level, taken, [whole[trial.id] for trial in taken]))
    return points


def _point(level: float, taken: list[Trial], whole: list[Trial]) -> RobustnessPoint:
    after, before = correctness(taken), correctness(whole)
    rise = np.array(
        [a.character_edits - b.character_edits for a, b in zip(taken, whole, strict=True)],
        dtype=np.float64,
    )
    length = np.array([trial.characters for trial in taken], dtype=np.float64)
    return RobustnessPoint(
        level=level,
        share=float(np.mean([trial.share for trial in taken])),
        scores=summarise(taken),
        exprate=rate_interval(after),
        loss=paired_difference(before, after),
        cer_rise=paired_ratio(rise, length),
    )


@dataclass(frozen=True, slots=True)
class Wording:
    """How one series is described."""

    title: str
    axis: str
    text: str
    percent: bool
    """Levels are shares, not counts."""

    def level(self, level: float) -> int:
        """The level as it is shown: whole percent, or a count."""
        return round(100.0 * level) if self.percent else round(level)


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


def robustness_section(
    series: Series,
    trials: Sequence[Trial],
    expressions: Expressions,
    config: OcclusionConfig,
) -> Section:
    """One series and its trials as a section; without numbers where no expression can take part.

    Numbers: `n`, `exprate_<level>`, `cer_<level>`, `loss_<level>` (points of ExpRate), and
    `exprate_mean` over the levels above 0.
    """
    wording = WORDINGS[series.name]
    note = "".join(f" Left out: {count} {reason}." for reason, count in series.left_out.items())
    if not trials:
        text = f"Not measured: no expression can take part.{note}"
        return Section(series.name, wording.title, text)
    points = robustness_curve(trials)
    decoding = "greedy" if config.decoding.beam == 1 else f"beam {config.decoding.beam}"
    text = (
        f"{wording.text.format(n=len(series.members), block=config.block)} Loss is in points of "
        "ExpRate against the same expressions as they are, decoded in the same way "
        f"({decoding}), with a 95 % paired bootstrap interval.{note}"
    )
    numbers: dict[str, float] = {"n": points[0].scores.n}
    for point in points:
        level = wording.level(point.level)
        numbers[f"exprate_{level}"] = point.scores.exprate
        numbers[f"cer_{level}"] = point.scores.cer
        if point.level:
            numbers[f"loss_{level}"] = point.loss.mean
    numbers["exprate_mean"] = float(np.mean([p.scores.exprate for p in points if p.level]))
    figure = Figure(
        "curve",
        _plot(points, wording),
        "Left: what is still read. Right: what that costs, paired by expression. Bands "
        "are 95 % bootstrap intervals.",
    )
    gallery = Gallery(
        _pictured(series, trials, expressions, wording),
        "A few expressions, if possible such as are read right as they are, and what was "
        "read at each level.",
    )
    tables = _tables(series.name, points, wording)
    return Section(series.name, wording.title, text, numbers, tables, [figure], [gallery])


def _tables(name: str, points: Sequence[RobustnessPoint], wording: Wording) -> list[Table]:
    rates = pd.DataFrame(
        [
            (wording.level(p.level), 100.0 * p.share, p.scores.n, *p.exprate, *p.loss)
            for p in points
        ],
        columns=[
            *("level", "taken", "n", "exprate", "exprate_low", "exprate_high"),
            *("loss", "loss_low", "loss_high"),
        ],
    )
    errors = pd.DataFrame(
        [(wording.level(p.level), p.scores.cer, *p.cer_rise) for p in points],
        columns=["level", "cer", "cer_rise", "cer_rise_low", "cer_rise_high"],
    )
    tables = [
        Table(rates, "What is still read, and the points of ExpRate lost, in percent."),
        Table(errors, "Character errors and their rise, in percent."),
    ]
    if name == OCCLUSION:
        scores = ["exprate", "le1", "le2", "le3", "ter", "structure_rate"]
        whole = pd.DataFrame(
            [
                ("blocks", p.level, p.share, *(getattr(p.scores, score) for score in scores))
                for p in points
            ],
            columns=["series", "level", "hidden", *scores],
        )
        tables.append(Table(whole, "All scores.", "occlusion.csv", whole.head(0)))
    return tables


def _plot(points: Sequence[RobustnessPoint], wording: Wording) -> bytes:
    """ExpRate and CER by level, and the points of ExpRate lost, with their intervals.

    Levels that are shares are drawn at the share that was really taken.
    """
    figure = new_figure(10.4, 4.0, layout=True)
    left, right = figure.subplots(1, 2)
    at = [100.0 * p.share if wording.percent else p.level for p in points]
    band(left, at, [p.exprate for p in points], BLUE, "right")
    close = [p.scores.le1 for p in points]
    left.plot(at, close, color=BLUE, linewidth=1.0, linestyle=DASHED, label="at most 1 edit")
    left.plot(at, [p.scores.cer for p in points], "s-", color=SERIES[1], markersize=3.5,
              linewidth=1.4, label="character errors")  # fmt: skip
    style(left, wording.title, wording.axis, "%")
    left.set_ylim(bottom=0)
    legend(left)
    band(right, at, [p.loss for p in points], WRONG)
    style(right, "Lost against the expression as it is", wording.axis, "points of ExpRate")
    right.set_ylim(bottom=min(0.0, right.get_ylim()[0]))
    for axes in (left, right):
        axes.set_xlim(left=0)
        if not wording.percent:
            axes.set_xticks(at)
    return plot_png(figure)


def _pictured(
    series: Series, trials: Sequence[Trial], expressions: Expressions, wording: Wording
) -> list[tuple[str, list[Picture]]]:
    """A few expressions at all levels: at random, those read right as they are first."""
    readings = {(trial.id, trial.level): trial for trial in trials}

    def rank(index: int) -> tuple[bool, bool]:
        whole = readings[expressions.ids[index], 0.0]
        return not whole.correct, not EASY[0] <= len(whole.truth) <= EASY[1]

    order = np.random.default_rng([0, 3]).permutation(len(series.members))
    rows = []
    for index in sorted((series.members[place] for place in order), key=rank)[:SHOWN]:
        pictures = []
        for level in (0.0, *series.levels):
            trial = readings[expressions.ids[index], float(level)]
            label = f"{wording.level(level)}{' %' if wording.percent else ''} {wording.axis}"
            read = mark(trial.truth, trial.tokens or ())[1]
            png = to_png(series.corrupt(index, level).image)
            pictures.append(Picture(png, label.removesuffix(", %"), trial.correct, [("", read)]))
        rows.append((" ".join(expressions.tokens[index]), pictures))
    return rows
