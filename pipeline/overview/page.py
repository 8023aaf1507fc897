"""`reports/index.html`: one page for a person who wants to know what came out, and why.

It is not an output of a stage, and git ignores it: it tells times, run ids and who is champion
here and now, which no stage may write.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hmer.files import atomic_file
from pipeline.overview.charts import duration, gain_chart, graph_chart, line_chart
from pipeline.overview.facts import SHOWN, Facts, gather

PAGE = "reports/index.html"
NARROW = 360
"""Width of the charts that stand three in a row."""
LABELS = {
    "exprate": "ExpRate, %",
    "novelty.exprate_new": "ExpRate on new captions, %",
    "le1": "at most 1 edit, %",
    "le2": "at most 2 edits, %",
    "cer": "character errors, %",
    "structure_rate": "structure right, %",
    "ece": "calibration error",
    "n": "expressions",
}


TOLD = ("dvc.lock", "reports/registration.json", "reports/evaluation/metrics.json")
"""Files that change where there is something new to tell."""


def bring_up_to_date(root: Path, *, failed: bool) -> None:
    """Write the page after a run; where nothing has run it stands, and no second is spent."""
    page = root / PAGE
    newest = max((p.stat().st_mtime for p in map(root.joinpath, TOLD) if p.is_file()), default=0.0)
    if failed or not page.is_file() or page.stat().st_mtime < newest:
        write_index(root)


def write_index(root: Path) -> Path | None:
    """Write the page; a failure is a warning, for what it tells of has happened all the same."""
    try:
        page = render(gather(root))
        with atomic_file(root / PAGE) as partial:
            partial.write_text(page, encoding="utf-8")
    except Exception as error:  # the page is about the run; it must never fail the run
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        sys.stderr.write(f"warning: {PAGE} was not written: {first}\n")
        return None
    return root / PAGE


def render(facts: Facts) -> str:
    """The page as HTML without scripts, fonts or pictures from elsewhere."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parents[1] / "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["duration"] = duration
    comparison = facts.registration.get("comparison")
    thresholds = facts.registration.get("thresholds", {})
    return environment.get_template("index.html.j2").render(
        facts=facts,
        labels={key: LABELS[key] for key in SHOWN},
        graph=graph_chart(facts.stages),
        gain=gain_chart(
            comparison["low"],
            comparison["gain"],
            comparison["high"],
            thresholds["worse"],
            thresholds["margin"],
        )
        if comparison
        else "",
        curves=[
            (title, line_chart(lines, "step", title.rpartition(": ")[2]))
            for title, lines in facts.curves
        ],
        occlusion=line_chart(
            facts.occlusion, "ink hidden, %", "expressions right, %", zero=True, width=NARROW
        ),
        reliability=line_chart(
            facts.reliability, "confidence, %", "right, %", percent=True, width=NARROW
        ),
        risk=line_chart(
            facts.risk, "most confident share kept, %", "wrong, %", zero=True, width=NARROW
        ),
        failing=[f for f in facts.gate.get("findings", []) if not f["success"] or f["failed"]],
        total=sum(story.seconds or 0.0 for story in facts.stages),
    )
