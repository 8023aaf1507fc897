"""Findings and the draw of samples."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from hmer.evaluation.prediction import Prediction
from hmer.evaluation.result import ReportConfig, draw_samples, find


def test_findings_count_every_truth() -> None:
    pool = [Prediction("a", ["x"], ["x"], 1.0), Prediction("b", ["y"], None, 0.0)]
    numbers = find(pool, ReportConfig()).numbers()
    assert (numbers["n"], numbers["exprate"], numbers["ece"]) == (2, 50.0, 0.0)
    assert numbers["aurc"] == pytest.approx((0.0 + 0.5) / 2)
    assert numbers["coverage_at_precision_95"] == 50.0
    assert numbers["accuracy_at_coverage_80"] == 50.0
    wrong = [Prediction("a", ["x"], ["y"], 1.0)]
    assert find(wrong, ReportConfig()).numbers()["coverage_at_precision_95"] == 0.0
    with pytest.raises(ValueError, match="twice"):
        find([*pool, pool[0]], ReportConfig())


def test_config_refuses_unknown_keys_and_ranges() -> None:
    for wrong in ({"sample": 3}, {"bins": 0}):
        with pytest.raises(ValidationError):
            ReportConfig.model_validate(wrong)


def test_samples_are_drawn_by_seed_and_keep_their_order() -> None:
    image = np.zeros((4, 4), np.uint8)
    pool = [Prediction(str(i), ["x"], ["x"], 0.5, image) for i in range(50)]
    first = [p.id for p in draw_samples(pool, 5, 0, correct=True)]
    assert first == [p.id for p in draw_samples(pool, 5, 0, correct=True)]
    assert first != [p.id for p in draw_samples(pool, 5, 1, correct=True)]
    assert first == sorted(first, key=int)
    assert draw_samples(pool, 5, 0, correct=False) == []
