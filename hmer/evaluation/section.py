"""A part of a report that measures one thing: numbers, tables, figures, and how to read them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from matplotlib.figure import Figure as Canvas

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Rows under a header, as many cells in each as the header has.

    The report shows it and writes it to a CSV file.

    Raises:
        ValueError: a row of another length.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str | float | int]]
    caption: str

    def __post_init__(self) -> None:
        if any(len(row) != len(self.header) for row in self.rows):
            raise ValueError(f"{self.caption}: a row is not as long as the header {self.header}")


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """A figure that is drawn when the report is written.

    `name` tells it from the other figures of its section. `draw` returns a matplotlib figure,
    best made with `hmer.evaluation.figures.canvas`: its dots per inch and its fonts.

    Raises:
        ValueError: a name that cannot be a file's.
    """

    name: str
    draw: Callable[[], Canvas]
    caption: str

    def __post_init__(self) -> None:
        _check_name(self.name)


@dataclass(frozen=True, slots=True, eq=False)
class Section:
    """One measurement of a report, shown in the order given.

    `name` is short and unique in a report; `title` heads it on the page; `text` says in two or
    three sentences what is measured and how to read it. `numbers` are finite, and are metrics of
    the evaluation under the names `<section>.<name>`.

    Raises:
        ValueError: a name that cannot be a file's, two figures of one name, or a number that is
            not finite.
    """

    name: str
    title: str
    text: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    tables: Sequence[Table] = ()
    figures: Sequence[Figure] = ()

    def __post_init__(self) -> None:
        _check_name(self.name)
        if len({figure.name for figure in self.figures}) != len(self.figures):
            raise ValueError(f"{self.name}: two figures have the same name")
        endless = [name for name, value in self.numbers.items() if not math.isfinite(value)]
        if endless:
            raise ValueError(f"{self.name}: {', '.join(endless)} is not finite")

    def flat(self) -> dict[str, float]:
        """The numbers under the names they have in metrics.json."""
        return {f"{self.name}.{name}": value for name, value in self.numbers.items()}

    def table_files(self) -> dict[str, Table]:
        """The tables by file name: `<section>-<number>.csv`, counted from 1."""
        return {f"{self.name}-{number}.csv": table for number, table in enumerate(self.tables, 1)}

    def figure_files(self) -> dict[str, Figure]:
        """The figures by file name: `<section>-<name>.png`."""
        return {f"{self.name}-{figure.name}.png": figure for figure in self.figures}


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r}: expected small letters, digits and _, a letter first")
