"""Progress that suits both a terminal and a log file."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

LOG_SECONDS = 10.0
"""Where there is no terminal, a line this often says how far things are."""


class Steps:
    """A bar on a terminal, a line now and then elsewhere; nothing at all if not wanted."""

    def __init__(self, title: str, total: int | None, wanted: bool = True, unit: str = "") -> None:
        self.title = title
        self.total = total
        self.unit = unit
        self._said = time.monotonic()
        self._began = time.monotonic()
        self._done = 0
        self._bar: Progress | None = None
        self._lines = wanted and not sys.stderr.isatty()
        if wanted and sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}"),
                console=Console(stderr=True),
            )
            self._task = self._bar.add_task(title, total=total, note="")
            self._bar.start()

    def update(self, done: int, total: int | None = None, note: str = "") -> None:
        """Say that `done` of `total` are done."""
        self.total = total if total is not None else self.total
        if self._bar is not None:
            self._bar.update(self._task, completed=done, total=self.total, note=note)
        elif self._lines and time.monotonic() - self._said >= LOG_SECONDS:
            self._said = time.monotonic()
            share = f" ({done / self.total:.0%})" if self.total else ""
            of = f"/{self.total}" if self.total else ""
            seconds = self._said - self._began
            sys.stderr.write(
                f"{self.title}: {done}{of}{self.unit}{share} after {seconds:.0f} s {note}".rstrip()
                + "\n"
            )
            sys.stderr.flush()

    def advance(self, number: int) -> None:
        """Say that so many more are done."""
        self._done += number
        self.update(self._done)

    def close(self) -> None:
        """End the bar."""
        if self._bar is not None:
            self._bar.stop()

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
