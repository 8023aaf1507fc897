"""Sections of a report from predictions alone: scores, breakdowns, confidence, errors.

In CROHME half of the captions of a writer-disjoint validation split occur in training, too, those
of the test years hardly ever: only the rate on new captions predicts theirs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from matplotlib.axes import Axes
from rapidfuzz.distance import Levenshtein

from hmer.errors import HmerError
from hmer.evaluation.bootstrap import rate_interval
from hmer.evaluation.calibration import KEPT, TRUSTED_RISK, Reliability, RiskCoverage
from hmer.evaluation.metrics import SetScores, summarise
from hmer.evaluation.prediction import Prediction, correctness, mark
from hmer.evaluation.report import Figure, Gallery, Picture, Section, Table, to_png
from hmer.ink.images import decode_png
from hmer.latex.tree import nesting_depth
from hmer.plots import (
    BLUE,
    DASHED,
    MUTED,
    RULE,
    TEXT,
    WRONG,
    legend,
    new_figure,
    stacked_bars,
    style,
)
from hmer.plots import to_png as plot_png

Captions = Mapping[tuple[str, ...], int]
"""How often a caption occurs, token for token."""

Buckets = Mapping[str, int]
"""Names of buckets, and the least value of each, ascending."""

LENGTHS: Buckets = {"1-5": 1, "6-10": 6, "11-20": 11, "21-30": 21, "31-40": 31, "41+": 41}
"""Of captions, in tokens."""
DEPTHS: Buckets = {"0": 0, "1": 1, "2": 2, "3": 3, "4+": 4}
"""Of nested groups."""
TIMES: Buckets = {"new": 0, "once": 1, "2-9": 2, "10+": 10}
"""That a caption occurs in training."""

_ERRORS = 30  # pictured on the page
_CONFUSIONS = 15  # of each kind on the page
_WITHIN = ("exprate", "le1", "le2", "le3")

_EDITS = {"replace": "substitution", "delete": "deletion", "insert": "insertion"}


def bucket_of(values: Sequence[int], buckets: Buckets) -> pd.Categorical:
    """The bucket that each value falls in."""
    return pd.cut(values, [*buckets.values(), np.inf], right=False, labels=list(buckets))


def scores_by(
    name: str, predictions: Sequence[Prediction], values: Sequence[int], buckets: Buckets
) -> pd.DataFrame:
    """Scores in percent by the bucket of a value of each prediction; empty buckets are left out.

    Columns: `name`, n, exprate, le1, le2, le3, ter.
    """
    frame = pd.DataFrame(
        {
            name: bucket_of(values, buckets),
            **{
                key: [prediction.within(edits) for prediction in predictions]
                for edits, key in enumerate(_WITHIN)
            },
            "edits": [prediction.distance for prediction in predictions],
            "tokens": [len(prediction.truth) for prediction in predictions],
            "n": 1,
        }
    )
    sums = frame.groupby(name, observed=True).sum()
    rates = (100.0 * sums[[*_WITHIN]]).div(sums["n"], axis=0)
    scores = pd.concat(
        [sums["n"], rates, (100.0 * sums["edits"] / sums["tokens"]).rename("ter")], axis=1
    )
    return scores.reset_index().astype({name: str})


def confusions(predictions: Iterable[Prediction]) -> pd.DataFrame:
    """Every token edit from truth to prediction with its count, commonest first.

    Columns: kind, truth, predicted ("" where a side has none), count. Expressions that could not
    be read are left out: nothing was confused with anything.
    """
    counts: Counter[tuple[str, str, str]] = Counter()
    for one in predictions:
        if one.tokens is not None:
            for edit in Levenshtein.editops(one.truth, one.tokens):
                old = "" if edit.tag == "insert" else one.truth[edit.src_pos]
                new = "" if edit.tag == "delete" else one.tokens[edit.dest_pos]
                counts[_EDITS[edit.tag], old, new] += 1
    rows = sorted(counts.items(), key=lambda row: (-row[1], row[0]))
    columns = ["kind", "truth", "predicted", "count"]
    return pd.DataFrame([(*edit, count) for edit, count in rows], columns=columns)


def read_captions(train: Path) -> Captions:
    """The captions of a split of the data set, counted.

    Raises:
        HmerError: the file is missing or damaged.
    """
    try:
        column = pq.read_table(train, columns=["tokens"])["tokens"]
    except (OSError, KeyError, pa.ArrowException) as error:
        raise HmerError(f"{train}: not a data set split ({error}); ingest the data first") from None
    return Counter(tuple(tokens) for tokens in column.to_pylist())


def score_sections(
    predictions: Sequence[Prediction], scores: SetScores, known: Captions
) -> list[Section]:
    """Scores, breakdowns, confidence and confusions; `known` are the captions of training."""
    return [
        _scores(scores),
        novelty(predictions, known),
        _lengths_and_depths(predictions),
        _confidence(scores),
        _confusions(predictions),
    ]


def sample_sections(predictions: Sequence[Prediction], samples: int) -> list[Section]:
    """Expressions drawn at random, and the errors that a reader would have trusted."""
    errors = worst_first(predictions)
    rows = [
        (
            error.id, " ".join(error.truth),
            "" if error.tokens is None else " ".join(error.tokens), error.distance,
            error.confidence,
        )
        for error in errors
    ]  # fmt: skip
    frame = pd.DataFrame(rows, columns=["id", "truth", "prediction", "distance", "confidence"])
    drawn = [
        Gallery(
            [("", [_card(one) for one in draw_samples(predictions, samples, correct=correct)])],
            f"{'Right' if correct else 'Wrong'}, drawn at random.",
        )
        for correct in (False, True)
    ]  # fmt: skip
    return [
        Section(
            "samples", "Samples", "Tokens that the other side lacks stand out.",
            galleries=[one for one in drawn if one.rows[0][1]],
        ),
        Section(
            "errors",
            "Errors, most confident first",
            f"{min(len(errors), _ERRORS)} of {len(errors)}; the table has all.",
            tables=[Table(frame, "All errors.", "errors.csv", frame.head(0))],
            galleries=[Gallery([("", [_card(one) for one in errors[:_ERRORS]])])],
        ),
    ]  # fmt: skip


def _scores(scores: SetScores) -> Section:
    summary = scores.summary
    columns = {"ExpRate": "exprate", "≤ 1": "le1", "≤ 2": "le2", "≤ 3": "le3",
               "token errors": "ter", "character errors": "cer"}  # fmt: skip
    frame = pd.DataFrame(
        {name: [getattr(summary, of), getattr(summary.canonical, of)]
         for name, of in columns.items()}
    )  # fmt: skip
    frame.insert(0, "reading", ["as written", "spelled alike"])
    text = (
        "Percent. ≤ k: within k token edits of the truth. Spelled alike: both sides are brought to "
        "one spelling first, where spellings render alike. Error rates are summed edit distance "
        "over summed truth length."
    )
    if summary.exprate < 100.0:
        alone = (summary.canonical.exprate - summary.exprate) / (100.0 - summary.exprate)
        text += f" {100.0 * alone:.1f} % of the wrong expressions are wrong in spelling alone."
    if summary.unreadable:
        names = ", ".join(summary.unreadable[:50]) + (", …" if len(summary.unreadable) > 50 else "")
        text += f" {len(summary.unreadable)} could not be read and count as wrong: {names}."
    return Section("scores", "Scores", text, tables=[Table(frame)])


def _lengths_and_depths(predictions: Sequence[Prediction]) -> Section:
    sizes = [len(one.truth) for one in predictions], [nesting_depth(o.truth) for o in predictions]
    lengths = scores_by("length", predictions, sizes[0], LENGTHS)
    depths = scores_by("depth", predictions, sizes[1], DEPTHS)
    return Section(
        "breakdown",
        "By length and depth",
        "Length is in tokens of the truth, depth in nested groups.",
        tables=[Table(lengths, file="by_length.csv"), Table(depths, file="by_depth.csv")],
        figures=[
            _bars("length", lengths, "By caption length", "tokens in the truth", "by_length.png"),
            _bars("depth", depths, "By nesting depth", "nested groups", "by_depth.png"),
        ],
    )


def _bars(name: str, scores: pd.DataFrame, title: str, x: str, file: str | None = None) -> Figure:
    """ExpRate by the first column, and stacked on it what is 1, 2 and 3 edits away."""
    labels = ("exact", "1 edit", "2 edits", "3 edits")
    layers = {label: scores[key].tolist() for label, key in zip(labels, _WITHIN, strict=True)}
    names = [f"{row[0]}\nn = {row[1]}" for row in scores.itertuples(index=False)]
    return Figure(name, stacked_bars(names, layers, title, x, "expressions, %"), "", file)


def _confidence(scores: SetScores) -> Section:
    trusted, kept = scores.risk.at_risk(TRUSTED_RISK), scores.risk.at_coverage(KEPT)
    text = (
        "Left: of the expressions read with a given confidence, how many are right (dots: at their "
        "mean confidence); on the dashed line, the two are equal. Right: keep only the most "
        "confident share, and this much of it is wrong. The most confident "
        f"{100.0 * kept.coverage:.0f} % are right in {100.0 - 100.0 * kept.risk:.1f} of 100"
    )
    if trusted:
        text += (
            f"; {100.0 * trusted.coverage:.1f} % can be kept, from a confidence of "
            f"{trusted.threshold:.3f} on, with {100.0 - 100.0 * TRUSTED_RISK:.0f} in 100 right"
        )
    risk = pd.DataFrame(scores.risk.points)[["coverage", "risk", "threshold"]]
    return Section(
        "confidence",
        "Confidence",
        text + ".",
        tables=[
            Table(pd.DataFrame(scores.reliability.bins), file="calibration.csv"),
            Table(risk, "Risk by coverage.", "risk_coverage.csv", risk.head(0)),
        ],
        figures=[
            Figure("calibration", calibration_plot(scores.reliability, scores.risk), "",
                   "calibration.png")
        ],
    )  # fmt: skip


def _confusions(predictions: Sequence[Prediction]) -> Section:
    frame = confusions(predictions)
    view = pd.concat([frame[frame["kind"] == kind].head(_CONFUSIONS) for kind in _EDITS.values()])
    text = (
        f"{len(frame)} different token edits from truth to prediction; on the page the commonest "
        f"{_CONFUSIONS} of each kind."
    )
    tables = [Table(frame, file="confusions.csv", view=view)]
    return Section("confusions", "Confusions", text, tables=tables)


def novelty(predictions: Sequence[Prediction], known: Captions) -> Section:
    """Scores by how often training has the caption; what could not be read counts as new.

    Numbers: `n_new`, and where there are any `exprate_new`, `cer_new`; the same for `known`.
    """
    times = [known.get(tuple(prediction.truth), 0) for prediction in predictions]
    rows = defaultdict[str, list[Prediction]](list)
    halves: dict[str, list[Prediction]] = {"new": [], "known": []}
    for prediction, count, bucket in zip(predictions, times, bucket_of(times, TIMES), strict=True):
        rows[bucket].append(prediction)
        halves["known" if count else "new"].append(prediction)
    numbers: dict[str, float] = {}
    for name, half in halves.items():
        numbers[f"n_{name}"] = len(half)
        if half:
            scores = summarise(half)
            numbers |= {f"exprate_{name}": scores.exprate, f"cer_{name}": scores.cer}
    frame = pd.DataFrame(
        [_novelty_row(name, rows[name]) for name in TIMES if name in rows],
        columns=[*("in training", "n", "ExpRate", "low", "high", "≤ 1", "≤ 2", "CER", "structure")],
    )
    return Section(
        name="novelty",
        title="New and known captions",
        text="Scores by how many training expressions have the very same caption, token for token. "
        "Known captions can be remembered, new ones must be read. Here "
        f"{len(halves['new'])} of {len(predictions)} are new.",
        numbers=numbers,
        tables=[Table(frame, "Percent; low and high: 95 % bootstrap interval of ExpRate.")],
        figures=[
            _bars(
                "rates",
                scores_by("times", predictions, times, TIMES),
                "By how well the caption is known",
                "equal captions in training",
            )
        ],
    )


def _novelty_row(name: str, members: Sequence[Prediction]) -> tuple[str | float | int, ...]:
    scores, rate = summarise(members), rate_interval(correctness(members))
    return (
        name, len(members), *rate, scores.le1, scores.le2, scores.cer, scores.structure_rate,
    )  # fmt: skip


def worst_first(predictions: Iterable[Prediction]) -> list[Prediction]:
    """The wrong ones, most confident first: what a reader would have trusted in error."""
    wrong = (prediction for prediction in predictions if not prediction.correct)
    return sorted(wrong, key=lambda prediction: (-prediction.confidence, prediction.id))


def draw_samples(
    predictions: Sequence[Prediction], count: int, *, correct: bool
) -> list[Prediction]:
    """Up to `count` right or wrong predictions that have a picture, drawn at random, in order."""
    pool = [p for p in predictions if p.correct is correct and p.image is not None]
    drawn = np.random.default_rng([0, int(correct)]).permutation(len(pool))[:count]
    return [pool[index] for index in sorted(drawn)]


def _card(prediction: Prediction) -> Picture:
    truth, read = mark(prediction.truth, prediction.tokens or ())
    lines = [("truth", truth)]
    if not prediction.correct:
        lines.append(("read" if prediction.tokens is not None else "could not be read", read))
    return Picture(
        None if prediction.image is None else to_png(decode_png(prediction.image)),
        f"{prediction.id}, confidence {100.0 * prediction.confidence:.0f} %",
        prediction.correct,
        lines,
    )


def calibration_plot(reliability: Reliability, curve: RiskCoverage) -> bytes:
    """A PNG: accuracy by confidence above the number of expressions, and risk by coverage."""
    figure = new_figure(11.2, 4.6, layout=True)
    grid = figure.add_gridspec(2, 2, height_ratios=(3.2, 1.0))
    _diagram(figure.add_subplot(grid[0, 0]), reliability)
    counts = figure.add_subplot(grid[1, 0])
    middle = [50.0 * (row.low + row.high) for row in reliability.bins]
    counts.bar(middle, [row.n for row in reliability.bins], 92.0 / len(middle), color=RULE)
    style(counts, "", "confidence, %", "count")
    counts.set_xlim(0, 100)
    counts.locator_params(axis="y", nbins=3, integer=True)
    _risk(figure.add_subplot(grid[:, 1]), curve)
    return plot_png(figure)


def _diagram(axes: Axes, reliability: Reliability) -> None:
    filled = [row for row in reliability.bins if row.n]
    middle = [50.0 * (row.low + row.high) for row in filled]
    accuracy = [100.0 * row.accuracy for row in filled]
    axes.bar(middle, accuracy, 92.0 / len(reliability.bins), color=BLUE, alpha=0.85)
    axes.plot([0, 100], [0, 100], color=TEXT, linewidth=1.0, linestyle=DASHED, zorder=2)
    axes.plot(
        [100.0 * row.confidence for row in filled], accuracy, "o", color="white",
        markeredgecolor=WRONG, markersize=5, clip_on=False,
    )  # fmt: skip
    style(axes, f"Reliability   ECE {100.0 * reliability.ece:.1f} %", "", "right, %")
    axes.set(xlim=(0, 100), ylim=(0, 104))
    axes.tick_params(labelbottom=False)


def _risk(axes: Axes, curve: RiskCoverage) -> None:
    coverage = np.array([100.0 * point.coverage for point in curve.points])
    risk = np.array([100.0 * point.risk for point in curve.points])
    base = risk[-1]
    # The best possible order puts every error last.
    ideal = np.linspace(max(1e-9, 100.0 - base), 100.0, 100)
    axes.plot(coverage, risk, color=BLUE, linewidth=2.0, label="by confidence")
    axes.plot(
        np.concatenate([[0.0], ideal]),
        np.concatenate([[0.0], 100.0 * (ideal - (100.0 - base)) / ideal]),
        color=MUTED, linewidth=1.0, linestyle=DASHED, label="best possible order",
    )  # fmt: skip
    axes.axhline(base, color=WRONG, linewidth=1.0, label="no order")
    trusted, kept = curve.at_risk(TRUSTED_RISK), curve.at_coverage(KEPT)
    if trusted is not None:
        at = (100.0 * trusted.coverage, 100.0 * trusted.risk)
        label = f"{at[0]:.0f} % kept: {100.0 * (1.0 - TRUSTED_RISK):.0f} in 100 right"
        axes.plot(*at, "o", color=BLUE, markersize=7, label=label, clip_on=False, zorder=4)
    at = (100.0 * kept.coverage, 100.0 * kept.risk)
    label = f"{100.0 * KEPT:.0f} % kept: {100.0 - at[1]:.1f} in 100 right"
    axes.plot(*at, "D", color="white", markeredgecolor=BLUE, markersize=6, label=label, zorder=4)
    title = f"Wrong among what is kept   AURC {100.0 * curve.aurc:.1f} %"
    style(axes, title, "most confident share kept, %", "wrong, %")
    axes.set(xlim=(0, 100), ylim=(0, max(5.0, 1.08 * float(risk.max()))))
    legend(axes)
