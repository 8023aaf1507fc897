"""Published CROHME results, to be shown beside CROHME results and nothing else.

They are single models unless said, as their papers or authors report them. Test sets, rendering,
caption normalisation and the metric differ between them and from ours (`metric`), so a point or
two between rows says little.
"""

from __future__ import annotations

from typing import NamedTuple


class Published(NamedTuple):
    """One system on one year: percent exact, and percent within 1 and 2 errors where reported."""

    system: str
    augmented: str
    metric: str
    exprate: float
    le1: float | None
    le2: float | None


LGEVAL = "LgEval, symbol layout"
TOKENS = "caption tokens"

RESULTS: dict[str, tuple[Published, ...]] = {
    "2014": (
        Published("BTTR", "no", LGEVAL, 53.96, 66.02, 70.28),
        Published("CAN-DWAP", "no", TOKENS, 57.00, 74.21, 80.61),
        Published("CAN-ABM", "no", TOKENS, 57.26, 74.52, 82.03),
        Published("CoMER, re-run by ICAL", "no", TOKENS, 58.38, 74.48, 81.14),
        Published("CoMER", "scale", LGEVAL, 59.33, 71.70, 75.66),
        Published("PosFormer", "no", TOKENS, 60.45, 77.28, 83.68),
        Published("ICAL", "no", TOKENS, 60.63, 75.99, 82.80),
        Published("TAMER", "no", TOKENS, 61.23, 76.77, 83.25),
        Published("PosFormer", "scale", TOKENS, 62.68, 79.01, 84.69),
    ),
    "2016": (
        Published("BTTR", "no", LGEVAL, 52.31, 63.90, 68.61),
        Published("CAN-DWAP", "no", TOKENS, 56.06, 71.49, 79.51),
        Published("CAN-ABM", "no", TOKENS, 56.15, 72.71, 80.30),
        Published("CoMER, re-run by ICAL", "no", TOKENS, 56.98, 74.44, 81.87),
        Published("ICAL", "no", TOKENS, 58.79, 76.06, 83.38),
        Published("CoMER", "scale", LGEVAL, 59.81, 74.37, 80.30),
        Published("TAMER", "no", TOKENS, 60.26, 76.91, 84.05),
        Published("PosFormer", "no", TOKENS, 60.94, 76.72, 83.87),
        Published("PosFormer", "scale", TOKENS, 61.03, 77.86, 84.74),
    ),
    "2019": (
        Published("BTTR", "no", LGEVAL, 52.96, 65.97, 69.14),
        Published("CAN-DWAP", "no", TOKENS, 54.88, 71.98, 79.40),
        Published("CAN-ABM", "no", TOKENS, 55.96, 72.73, 80.57),
        Published("CoMER, re-run by ICAL", "no", TOKENS, 59.12, 77.45, 83.87),
        Published("ICAL", "no", TOKENS, 60.51, 78.00, 84.63),
        Published("TAMER", "no", TOKENS, 61.97, 78.97, 85.80),
        Published("PosFormer", "no", TOKENS, 62.22, 79.40, 86.57),
        Published("CoMER", "scale", LGEVAL, 62.97, 77.40, 81.40),
        Published("PosFormer", "scale", TOKENS, 64.97, 82.49, 87.24),
    ),
}


def published_beside(source: str, split: str) -> tuple[Published, ...]:
    """What was published on the test set `split`; nothing unless it is one of CROHME."""
    if source != "crohme":
        return ()
    return next((rows for year, rows in RESULTS.items() if split.endswith(year)), ())
