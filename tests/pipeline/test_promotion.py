from __future__ import annotations

import pytest

from pipeline.promotion import Decision, RegisterConfig, Score, decide


@pytest.mark.parametrize(
    ("mine", "data", "champion", "config", "wanted", "because"),
    [
        (10.0, "d", None, {}, "champion", "there was no champion"),
        (50.1, "d", 50.0, {}, "champion", "better: ExpRate 50.10 % against 50.00 %"),
        (50.0, "d", 50.0, {}, "challenger", "not better"),
        (49.0, "d", 50.0, {}, "challenger", "not better: ExpRate 49.00 % against 50.00 %"),
        (50.5, "d", 50.0, {"margin": 1.0}, "challenger", "no more than the margin 1.00"),
        (51.5, "d", 50.0, {"margin": 1.0}, "champion", "better"),
        (90.0, "other", 50.0, {}, "challenger", "not comparable"),
        (10.0, "other", 50.0, {"across_data": True}, "champion", "register.across_data is set"),
    ],
)
def test_decisions(
    mine: float,
    data: str,
    champion: float | None,
    config: dict[str, object],
    wanted: Decision,
    because: str,
) -> None:
    rival = None if champion is None else Score(champion, "d")
    decision, reason = decide(Score(mine, data), rival, RegisterConfig.model_validate(config))
    assert decision == wanted
    assert because in reason
