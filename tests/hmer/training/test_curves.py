"""Curves."""

from __future__ import annotations

from pathlib import Path

import pytest

from hmer.training.curves import Curves


def test_flush_writes_means_and_starts_again() -> None:
    curves = Curves()
    curves.add({"loss": 1.0, "rare": 5.0})
    curves.add({"loss": 2.0})
    assert curves.flush(2) == {"loss": 1.5, "rare": 5.0}
    curves.add({"loss": 4.00000049})
    assert curves.flush(4) == {"loss": pytest.approx(4.00000049, abs=1e-12)}
    assert curves.flush(5) == {}
    assert curves.rows == [(2, "loss", 1.5), (2, "rare", 5.0), (4, "loss", 4.0)]
    assert curves.last("loss") == 4.0
    assert curves.last("rare") == 5.0
    with pytest.raises(KeyError, match="other"):
        curves.last("other")


def test_one_row_per_step_and_gaps_where_nothing_was_measured(tmp_path: Path) -> None:
    curves = Curves()
    curves.rows = [(2, "loss", 1.5), (2, "accuracy", 0.25), (4, "loss", 1.25)]
    curves.write(tmp_path / "curves.csv")
    assert (tmp_path / "curves.csv").read_bytes() == b"step,accuracy,loss\n2,0.25,1.5\n4,,1.25\n"
