from __future__ import annotations

import pytest

from hmer.evaluation.bootstrap import Interval
from pipeline.registry.decision import Comparison, Decision, RegisterConfig, decide


def met(
    mean: float,
    low: float,
    high: float,
    occluded: float | None = None,
    interval: tuple[float, float] | None = None,
) -> Comparison:
    hidden = Interval(occluded, *interval) if occluded is not None and interval else None
    return Comparison(Interval(mean, low, high), 500, 9, 4, occluded, hidden)


@pytest.mark.parametrize(
    ("comparison", "obstacle", "config", "wanted", "because"),
    [
        (None, "", {}, "champion", "there was no champion"),
        (None, "other data", {}, "challenger", "not comparable: other data"),
        (None, "other data", {"across_data": True}, "champion", "register.across_data is set"),
        (met(1.5, 0.2, 2.8), "", {}, "champion", "better beyond noise: +1.50 points of ExpRate"),
        (met(1.5, 0.0, 2.8), "", {}, "challenger", "better, but not beyond doubt"),
        (met(1.5, 0.2, 2.8), "", {"margin": 0.5}, "challenger", "not beyond doubt"),
        (met(1.5, 0.6, 2.8), "", {"margin": 0.5}, "champion", "beyond the margin 0.5"),
        (met(0.0, 0.0, 0.0), "", {}, "challenger", "not better"),
        (met(-1.0, -2.0, 0.0), "", {}, "challenger", "not better"),
        (met(-1.1, -2.0, 0.0), "", {}, "refused", "worse by more than 1 (register.worse)"),
        (met(-1.1, -2.0, 0.0), "", {"worse": 2}, "challenger", "not better"),
        (met(3.0, 1.0, 5.0, -5.1), "", {}, "refused", "worse where ink is hidden, -5.10 points"),
        (met(3.0, 1.0, 5.0, -5.0), "", {}, "champion", "better beyond noise"),
        (
            met(3.0, 1.0, 5.0, -6.0, (-9.0, -2.0)),
            "",
            {},
            "refused",
            "-6.00 points (-9.00 to -2.00)",
        ),
        (met(3.0, 1.0, 5.0, -6.0, (-13.0, 1.0)), "", {}, "challenger", "perhaps worse where ink"),
        (met(-2.0, -3.0, -1.0, -6.0, (-13.0, 1.0)), "", {}, "refused", "register.worse)"),
        (met(3.0, 1.0, 5.0, -4.0, (-6.0, -2.0)), "", {}, "champion", "better beyond noise"),
    ],
)
def test_decisions(
    comparison: Comparison | None,
    obstacle: str,
    config: dict[str, object],
    wanted: Decision,
    because: str,
) -> None:
    settings = RegisterConfig.model_validate(config)
    decision, reason = decide(comparison, settings, obstacle=obstacle)
    assert decision == wanted
    assert because in reason
