"""Distributions of placement styles, and those measured on CROHME's training ink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import erf, sqrt
from types import MappingProxyType

LEVELS = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)
"""Probabilities at which a habit's quantiles are kept; what lies beyond is cut off."""


@dataclass(frozen=True, slots=True)
class Habit:
    """A distribution over hands and instances.

    `between` is the share of the variance that lies between hands, `quantiles` are at `LEVELS`.
    """

    between: float
    quantiles: tuple[float, ...]

    @property
    def median(self) -> float:
        """The usual value."""
        return self.quantiles[len(LEVELS) // 2]

    def value(self, own: float, instance: float) -> float:
        """The value for a hand's and an instance's standard normal variables."""
        mixed = sqrt(self.between) * own + sqrt(1.0 - self.between) * instance
        level = 0.5 * (1.0 + erf(mixed / sqrt(2.0)))
        return _interpolated(level, self.quantiles)


def _interpolated(level: float, quantiles: Sequence[float]) -> float:
    if level <= LEVELS[0]:
        return quantiles[0]
    for low, high, start, end in zip(LEVELS, LEVELS[1:], quantiles, quantiles[1:], strict=False):
        if level <= high:
            return start + (end - start) * (level - low) / (high - low)
    return quantiles[-1]


_MEASURED: dict[str, tuple[float, tuple[float, ...]]] = {
    r"\int limit shift": (0.00, (-0.68, -0.40, -0.17, 0.07, 0.31, 0.53, 0.79)),
    r"\int lower beside end": (0.90, (-0.31, -0.13, 0.04, 0.33, 0.75, 0.99, 1.26)),
    r"\int lower beside gap": (0.00, (-0.69, -0.26, -0.12, 0.07, 0.25, 0.49, 0.65)),
    r"\int lower gap": (0.81, (-0.52, -0.18, 0.04, 0.22, 0.33, 0.45, 0.70)),
    r"\int upper beside end": (0.74, (-0.17, 0.08, 0.28, 0.49, 0.80, 1.06, 1.63)),
    r"\int upper beside gap": (0.73, (-0.35, -0.13, 0.07, 0.29, 0.44, 0.59, 0.86)),
    r"\int upper gap": (0.63, (0.01, 0.10, 0.23, 0.30, 0.41, 0.49, 0.60)),
    r"\lim limit shift": (0.00, (-0.48, -0.26, -0.10, 0.05, 0.28, 0.45, 0.92)),
    r"\lim lower gap": (0.72, (-0.15, 0.04, 0.20, 0.31, 0.48, 0.69, 0.83)),
    r"\sum limit shift": (0.00, (-0.54, -0.29, -0.14, 0.02, 0.19, 0.41, 0.72)),
    r"\sum lower gap": (0.72, (-0.03, 0.09, 0.20, 0.34, 0.51, 0.76, 1.11)),
    r"\sum upper gap": (0.64, (-0.08, 0.06, 0.16, 0.26, 0.38, 0.48, 0.76)),
    "bar overshoot": (0.41, (-0.46, -0.09, 0.06, 0.22, 0.42, 0.64, 1.12)),
    "bracket bottom": (0.65, (-1.09, -0.66, -0.33, -0.05, 0.21, 0.47, 0.96)),
    "bracket top": (0.59, (-0.71, -0.32, -0.09, 0.12, 0.33, 0.53, 0.91)),
    "denominator gap": (0.44, (-0.03, 0.12, 0.22, 0.33, 0.45, 0.62, 0.89)),
    "drift": (0.00, (-0.07, -0.04, -0.02, -0.00, 0.01, 0.04, 0.08)),
    "fraction scale": (0.56, (0.39, 0.52, 0.64, 0.78, 0.95, 1.14, 1.47)),
    "gap binary built": (0.58, (-0.01, 0.22, 0.37, 0.58, 0.83, 1.13, 1.75)),
    "gap binary digit": (0.58, (0.06, 0.23, 0.38, 0.58, 0.82, 1.11, 1.55)),
    "gap binary open": (0.69, (0.22, 0.36, 0.59, 0.87, 1.18, 1.47, 1.97)),
    "gap binary operator": (0.72, (0.09, 0.29, 0.44, 0.64, 0.85, 1.09, 1.57)),
    "gap binary ordinary": (0.61, (0.04, 0.22, 0.36, 0.53, 0.76, 1.02, 1.47)),
    "gap binary punctuation": (0.09, (0.35, 0.50, 0.62, 0.76, 0.97, 1.19, 1.45)),
    "gap built binary": (0.58, (-0.10, 0.26, 0.43, 0.63, 0.88, 1.20, 1.87)),
    "gap built close": (0.46, (-0.51, -0.20, -0.05, 0.11, 0.24, 0.40, 0.64)),
    "gap built open": (0.00, (-2.50, 0.10, 0.36, 0.57, 0.72, 0.97, 1.22)),
    "gap built ordinary": (0.61, (-0.12, 0.17, 0.33, 0.51, 0.70, 0.96, 1.41)),
    "gap built relation": (0.90, (0.07, 0.27, 0.50, 0.72, 1.19, 1.83, 2.84)),
    "gap close binary": (0.68, (-0.08, 0.19, 0.40, 0.67, 0.97, 1.27, 1.87)),
    "gap close close": (0.68, (-0.33, -0.10, 0.10, 0.27, 0.42, 0.53, 0.79)),
    "gap close open": (0.67, (0.12, 0.23, 0.37, 0.47, 0.67, 0.88, 1.49)),
    "gap close ordinary": (0.52, (-0.02, 0.22, 0.34, 0.53, 0.75, 1.00, 1.30)),
    "gap close relation": (0.86, (0.12, 0.34, 0.51, 0.80, 1.30, 1.97, 2.93)),
    "gap digit binary": (0.65, (0.05, 0.24, 0.41, 0.65, 0.95, 1.30, 1.90)),
    "gap digit built": (0.34, (-0.14, 0.02, 0.15, 0.32, 0.51, 0.74, 1.07)),
    "gap digit close": (0.56, (-0.30, -0.06, 0.08, 0.24, 0.42, 0.59, 0.88)),
    "gap digit digit": (0.38, (-0.16, 0.06, 0.19, 0.32, 0.47, 0.61, 0.82)),
    "gap digit operator": (0.90, (-0.02, 0.15, 0.29, 0.41, 0.62, 0.85, 1.24)),
    "gap digit ordinary": (0.47, (-0.14, 0.07, 0.21, 0.37, 0.55, 0.73, 1.00)),
    "gap digit point": (0.74, (-0.28, 0.02, 0.20, 0.31, 0.44, 0.60, 0.76)),
    "gap digit punctuation": (0.68, (-0.31, -0.12, 0.01, 0.26, 0.43, 0.57, 0.87)),
    "gap digit relation": (0.90, (0.21, 0.36, 0.60, 1.14, 1.83, 2.50, 3.29)),
    "gap open binary": (0.33, (-0.48, -0.13, 0.05, 0.21, 0.32, 0.50, 0.60)),
    "gap open built": (0.54, (-0.50, -0.22, -0.07, 0.11, 0.31, 0.53, 0.75)),
    "gap open digit": (0.56, (-0.31, -0.05, 0.13, 0.33, 0.54, 0.76, 1.08)),
    "gap open open": (0.58, (-0.30, -0.01, 0.20, 0.35, 0.54, 0.75, 1.01)),
    "gap open operator": (0.00, (-0.54, -0.03, 0.20, 0.38, 0.59, 0.79, 1.07)),
    "gap open ordinary": (0.55, (-0.34, -0.09, 0.06, 0.21, 0.39, 0.57, 0.86)),
    "gap operator built": (0.87, (-0.64, -0.06, 0.24, 0.49, 0.79, 1.22, 1.83)),
    "gap operator digit": (0.60, (-0.12, 0.07, 0.25, 0.38, 0.60, 0.78, 0.95)),
    "gap operator open": (0.64, (-0.11, 0.23, 0.37, 0.54, 0.75, 0.98, 1.47)),
    "gap operator operator": (0.00, (-0.50, -0.21, 0.09, 0.38, 0.67, 0.98, 1.42)),
    "gap operator ordinary": (0.58, (-0.32, 0.08, 0.28, 0.48, 0.69, 0.93, 1.29)),
    "gap ordinary binary": (0.55, (-0.05, 0.18, 0.32, 0.48, 0.72, 1.01, 1.51)),
    "gap ordinary built": (0.25, (0.10, 0.26, 0.44, 0.54, 0.81, 1.00, 1.60)),
    "gap ordinary close": (0.52, (-0.38, -0.07, 0.06, 0.20, 0.35, 0.52, 0.77)),
    "gap ordinary digit": (0.34, (-0.28, -0.04, 0.11, 0.27, 0.52, 0.69, 1.14)),
    "gap ordinary open": (0.51, (-0.11, 0.13, 0.27, 0.45, 0.66, 0.92, 1.38)),
    "gap ordinary operator": (0.70, (-0.04, 0.27, 0.43, 0.67, 0.89, 1.15, 1.44)),
    "gap ordinary ordinary": (0.37, (-0.17, 0.05, 0.19, 0.32, 0.48, 0.65, 0.92)),
    "gap ordinary punctuation": (0.68, (-0.15, 0.00, 0.18, 0.34, 0.54, 0.80, 1.30)),
    "gap ordinary relation": (0.42, (0.06, 0.23, 0.41, 0.65, 1.08, 1.72, 2.76)),
    "gap point digit": (0.69, (0.16, 0.27, 0.36, 0.47, 0.60, 0.74, 0.94)),
    "gap punctuation binary": (0.85, (0.27, 0.48, 0.71, 0.91, 1.11, 1.31, 1.68)),
    "gap punctuation digit": (0.71, (0.08, 0.22, 0.38, 0.56, 0.72, 0.91, 1.21)),
    "gap punctuation ordinary": (0.76, (0.02, 0.20, 0.36, 0.58, 0.83, 1.08, 1.45)),
    "gap punctuation punctuation": (0.29, (0.07, 0.33, 0.53, 0.76, 1.03, 1.13, 1.33)),
    "gap relation binary": (0.00, (0.23, 0.45, 0.63, 1.08, 1.51, 2.11, 2.84)),
    "gap relation built": (0.83, (0.03, 0.26, 0.40, 0.62, 0.98, 1.71, 2.60)),
    "gap relation digit": (0.64, (0.08, 0.29, 0.47, 0.72, 1.17, 1.69, 2.55)),
    "gap relation open": (0.53, (0.24, 0.40, 0.60, 0.86, 1.40, 1.89, 2.76)),
    "gap relation operator": (0.78, (0.01, 0.28, 0.44, 0.76, 1.29, 1.95, 2.63)),
    "gap relation ordinary": (0.73, (0.11, 0.29, 0.46, 0.77, 1.26, 1.83, 2.62)),
    "gap sign digit": (0.28, (0.03, 0.17, 0.32, 0.51, 0.70, 0.92, 1.38)),
    "gap sign ordinary": (0.49, (0.01, 0.19, 0.30, 0.47, 0.69, 0.90, 1.33)),
    "limit scale": (0.56, (0.30, 0.40, 0.51, 0.63, 0.78, 0.93, 1.17)),
    "numerator gap": (0.44, (-0.16, 0.05, 0.16, 0.28, 0.42, 0.57, 0.83)),
    "part shift": (0.16, (-1.04, -0.42, -0.18, -0.02, 0.11, 0.25, 0.54)),
    "radical end": (0.47, (-1.06, -0.28, 0.07, 0.35, 0.71, 1.08, 2.02)),
    "radical foot": (0.59, (-0.98, -0.52, -0.17, 0.05, 0.20, 0.37, 0.60)),
    "radical pad": (0.60, (-0.16, 0.14, 0.29, 0.47, 0.65, 0.85, 1.30)),
    "radical roof": (0.35, (-0.45, -0.10, 0.06, 0.23, 0.40, 0.56, 0.86)),
    "radicand scale": (0.30, (0.52, 0.62, 0.73, 0.87, 1.01, 1.15, 1.44)),
    "sub drop": (0.56, (-0.46, -0.21, -0.08, 0.06, 0.21, 0.37, 0.67)),
    "sub gap": (0.57, (-0.37, -0.10, 0.06, 0.20, 0.33, 0.47, 0.69)),
    "sub scale": (0.55, (0.23, 0.32, 0.41, 0.53, 0.68, 0.86, 1.18)),
    "sup gap": (0.52, (-0.34, -0.11, 0.04, 0.20, 0.34, 0.52, 0.78)),
    "sup raise": (0.54, (0.18, 0.34, 0.47, 0.63, 0.80, 0.98, 1.29)),
    "sup scale": (0.51, (0.26, 0.35, 0.43, 0.54, 0.67, 0.81, 1.05)),
}

MEASURED: MappingProxyType[str, Habit] = MappingProxyType(
    {name: Habit(between, quantiles) for name, (between, quantiles) in _MEASURED.items()}
)
"""Habit by name."""
