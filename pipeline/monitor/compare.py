"""Whether recent expressions differ from those of the data set by more than chance.

A stability index of small samples is large by itself (about 2 bins / n for n against many without
any drift), so a threshold alone would cry wolf. Each index is therefore also compared with what
samples of the same size, drawn from the reference, give.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from hmer.ingest.statistics import jensen_shannon, population_stability
from pipeline.monitor.config import MonitorConfig
from pipeline.monitor.observe import MEASURES, Observed

DRAWS = 200
"""Samples of no drift that are drawn for each index."""


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
    findings = []
    for name in MEASURES if len(recent.rows) else ():
        known = reference.rows[name].to_numpy(np.float64)
        new = recent.rows[name].to_numpy(np.float64)
        by_chance = [population_stability(known, rng.choice(known, len(new))) for _ in range(DRAWS)]
        value = population_stability(known, new)
        findings.append(_finding(name, "PSI", value, config.stability, by_chance, config))
    tokens = _tokens(recent.tokens, reference.tokens, rng)
    if tokens is not None:
        value, by_chance = tokens
        findings.append(
            _finding("tokens", "Jensen-Shannon", value, config.divergence, by_chance, config)
        )
    looked_at = len(recent.rows) + len(recent.refused)
    unread = round(len(recent.refused) / looked_at, 6) if looked_at else 0.0
    findings.append(_finding("unreadable", "share", unread, config.unreadable, [0.0], config))
    return Drift(
        drifted=any(finding.drifted for finding in findings),
        read=len(recent.rows),
        reference=len(reference.rows),
        refused=dict(sorted(recent.refused.items())),
        findings=tuple(findings),
    )


def _finding(
    name: str,
    index: str,
    value: float,
    threshold: float,
    by_chance: list[float],
    config: MonitorConfig,
) -> Finding:
    chance = round(float(np.quantile(by_chance, 1 - config.chance)), 6)
    return Finding(
        name=name,
        index=index,
        value=value,
        threshold=threshold,
        chance=chance,
        drifted=value > threshold and value > chance,
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
