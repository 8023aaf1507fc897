"""Whether recent expressions differ from those of the data set by more than chance.

A stability index of small samples is large by itself (about 2 bins / n for n against many without
any drift), so a threshold alone would cry wolf. Each index is therefore also compared with what
samples of the same size, drawn from the reference, give.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from hmer.ingest.statistics import jensen_shannon, population_stability
from pipeline.monitor.observe import MEASURES, Observed

DRAWS = 200
"""Samples of no drift that are drawn for each index."""


class MonitorConfig(BaseModel):
    """Parameters of `python -m pipeline monitor`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least: int = Field(30, ge=5, description="files, at least, without which there is no verdict")
    most: int = Field(500, ge=5, description="files looked at, the newest")
    reference: int = Field(300, ge=30, description="expressions of the data set to compare with")
    stability: float = Field(
        0.25, gt=0, le=10, description="population stability index that counts as drift"
    )
    divergence: float = Field(
        0.1, gt=0, le=1, description="Jensen-Shannon divergence of tokens, in bits, that does"
    )
    unreadable: float = Field(
        0.1, ge=0, le=1, description="share of files that cannot be read, that does"
    )
    chance: float = Field(
        0.01, gt=0, lt=0.5, description="how often samples of no drift may look as different"
    )
    beam: int = Field(3, ge=1, le=50, description="of the champion's readings")
    seed: int = Field(0, ge=0)


class Finding(BaseModel):
    """One comparison: it drifted where `value` is above both `threshold` and `chance`."""

    model_config = ConfigDict(frozen=True)

    name: str
    index: str
    value: float
    threshold: float
    chance: float
    drifted: bool


class Drift(BaseModel):
    """The verdict on recent input."""

    model_config = ConfigDict(frozen=True)

    drifted: bool
    read: int
    reference: int
    refused: dict[str, str]
    findings: tuple[Finding, ...]


def compare(recent: Observed, reference: Observed, config: MonitorConfig) -> Drift:
    """Compare every measure and the tokens, and count what could not be read."""
    rng = np.random.default_rng(config.seed)
    compared = []
    for name in MEASURES if len(recent.rows) else ():
        known = reference.rows[name].to_numpy(np.float64)
        new = recent.rows[name].to_numpy(np.float64)
        by_chance = [population_stability(known, rng.choice(known, len(new))) for _ in range(DRAWS)]
        compared.append((name, "PSI", population_stability(known, new), by_chance))
    if tokens := _tokens(recent.tokens, reference.tokens, rng):
        compared.append(("tokens", "Jensen-Shannon", *tokens))
    looked_at = len(recent.rows) + len(recent.refused)
    unread = round(len(recent.refused) / looked_at, 6) if looked_at else 0.0
    compared.append(("unreadable", "share", unread, [0.0]))
    thresholds = {
        "PSI": config.stability,
        "Jensen-Shannon": config.divergence,
        "share": config.unreadable,
    }
    findings = []
    for name, index, value, by_chance in compared:
        threshold = thresholds[index]
        chance = round(float(np.quantile(by_chance, 1 - config.chance)), 6)
        findings.append(
            Finding(
                name=name,
                index=index,
                value=value,
                threshold=threshold,
                chance=chance,
                drifted=value > threshold and value > chance,
            )
        )
    return Drift(
        drifted=any(finding.drifted for finding in findings),
        read=len(recent.rows),
        reference=len(reference.rows),
        refused=dict(sorted(recent.refused.items())),
        findings=tuple(findings),
    )


def _tokens(
    recent: list[Counter[str]], reference: list[Counter[str]], rng: np.random.Generator
) -> tuple[float, list[float]] | None:
    """The divergence and those of samples; whole expressions are drawn, for tokens keep company.

    None where one of the two holds no token.
    """
    new: Counter[str] = sum(recent, Counter())
    known: Counter[str] = sum(reference, Counter())
    if not new or not known:
        return None
    names = sorted(known)
    counts = np.array([[one[name] for name in names] for one in reference], np.int64)

    def drawn() -> Counter[str]:
        times: NDArray[np.int64] = np.bincount(
            rng.integers(len(counts), size=len(recent)), minlength=len(counts)
        )
        total = times @ counts
        return Counter({n: int(c) for n, c in zip(names, total, strict=True) if c})

    samples = (drawn() for _ in range(DRAWS))
    return jensen_shannon(new, known), [jensen_shannon(s, known) for s in samples if s]
