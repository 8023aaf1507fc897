"""Sections of a report."""

from __future__ import annotations

import math

import pytest

from hmer.evaluation.figures.canvas import new_figure
from hmer.evaluation.section import Figure, Section, Table


def figure(name: str) -> Figure:
    return Figure(name, lambda: new_figure(1.0, 1.0), "a figure")


def test_names_of_files_and_metrics() -> None:
    tables = [Table(("a", "b"), [("x", 1), ("y", 0.5)], caption) for caption in ("one", "two")]
    section = Section(
        "occlusion", "Hidden", "Text.", {"cer_30": 1.5}, tables, [figure("curve"), figure("sheet")]
    )
    assert section.flat() == {"occlusion.cer_30": 1.5}
    assert list(section.table_files()) == ["occlusion-1.csv", "occlusion-2.csv"]
    assert list(section.figure_files()) == ["occlusion-curve.png", "occlusion-sheet.png"]


@pytest.mark.parametrize("name", ["", "A", "a-b", "../x", "a b", "1a"])
def test_names_that_cannot_be_files(name: str) -> None:
    with pytest.raises(ValueError, match="small letters"):
        Section(name, "", "")
    with pytest.raises(ValueError, match="small letters"):
        figure(name)


def test_refuses() -> None:
    with pytest.raises(ValueError, match="two figures"):
        Section("a", "", "", figures=[figure("x"), figure("x")])
    for value in (math.nan, math.inf):
        with pytest.raises(ValueError, match="rate is not finite"):
            Section("a", "", "", {"n": 1, "rate": value})
    with pytest.raises(ValueError, match="header"):
        Table(("a", "b"), [("x",)], "short")
