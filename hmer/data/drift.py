"""How far a split has drifted from the training profile: distributions of symbols and numbers."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import ArrayLike


def jensen_shannon(first: Counter[str], second: Counter[str]) -> float:
    """Jensen-Shannon divergence in bits: 0 for equal distributions, 1 for disjoint ones.

    Lin, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37 (1991).

    Raises:
        ValueError: a counter is empty.
    """
    names = sorted(set(first) | set(second))
    p = np.array([first[name] for name in names], np.float64)
    q = np.array([second[name] for name in names], np.float64)
    if not p.sum() or not q.sum():
        raise ValueError("an empty distribution has no divergence")
    p, q = p / p.sum(), q / q.sum()
    middle = (p + q) / 2
    terms = [side[side > 0] @ np.log2(side[side > 0] / middle[side > 0]) for side in (p, q)]
    # Rounded: sums of logarithms may differ in the last bits from one machine to the next.
    return round(max(0.0, float(sum(terms)) / 2), 6)


def population_stability(reference: ArrayLike, sample: ArrayLike, bins: int = 10) -> float:
    """Population stability index of `sample` over the quantile bins of `reference`.

    Usual reading: under 0.1 stable, above 0.25 shifted. Half a count is added to each bin, so
    that an empty one does not make it infinite. Values that are no numbers are left out.

    Raises:
        ValueError: one of the two is empty.
    """
    known = np.asarray(reference, np.float64)
    known = known[np.isfinite(known)]
    new = np.asarray(sample, np.float64)
    new = new[np.isfinite(new)]
    if not len(known) or not len(new):
        raise ValueError("an empty sample has no stability index")
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1]))
    p, q = (
        np.bincount(np.searchsorted(edges, values, side="left"), minlength=len(edges) + 1) + 0.5
        for values in (known, new)
    )
    p, q = p / p.sum(), q / q.sum()
    return round(float((p - q) @ np.log(p / q)), 6)
