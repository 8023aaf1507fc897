"""Lines of a study: a metric over a parameter, or over the levels of what was done to the ink."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.declaration import PARAMS
from pipeline.sections import lookup
from pipeline.study.config import Curve
from pipeline.study.results import Outcome, levels

Line = list[tuple[float, list[float]]]
"""Places on x, each with the values of the seeds."""


def points(curve: Curve, outcomes: Sequence[Outcome]) -> dict[str, Line]:
    """All lines that have points, by name."""
    found = {}
    for name, variants in curve.lines.items():
        if curve.parameter is None:
            by_level = levels(outcomes, variants[0], curve.metric)
            line = [(level, list(values.values())) for level, values in by_level.items()]
        else:
            line = _over(curve.parameter, curve.metric, variants, outcomes)
        if line:
            found[name] = line
    return found


def _over(
    parameter: str, metric: str, variants: Sequence[str], outcomes: Sequence[Outcome]
) -> Line:
    places: dict[float, list[float]] = {}
    for outcome in outcomes:
        if outcome.experiment.variant in variants and metric in outcome.metrics:
            place = _place(outcome, parameter)
            if place is not None:
                places.setdefault(place, []).append(outcome.metrics[metric])
    return sorted(places.items())


def _place(outcome: Outcome, parameter: str) -> float | None:
    """The number that the parameter has in the experiment, given or by default."""
    from pipeline.params import check_params

    params = check_params(outcome.experiment.params, PARAMS).model_dump(by_alias=True)
    try:
        value = lookup(params, parameter)
    except KeyError:
        return None
    return float(value) if isinstance(value, int | float) else None
