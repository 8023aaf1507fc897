"""Stage `ingest`: from whatever the source is to Parquet files under one contract."""

from __future__ import annotations

import sys

from pipeline.stage import Stage, run_stage

REFUSED = "data/quarantine.parquet"
"""What was refused, where so much was that there is no dataset."""


def main(stage: Stage) -> None:
    """Raw data in, dataset folder out."""
    from hmer.ingest.ingest import IngestConfig, ingest
    from hmer.progress import Steps

    config = stage.config(IngestConfig)
    for path in config.paths():
        stage.raw(path)
    with stage.tracked(config) as tracker, stage.outputs("data/dataset") as out:
        with Steps("ingest", None, stage.progress, " expressions") as steps:
            summary = ingest(config, out, steps.update, stage.root / REFUSED)
        if refusals := summary.refusals():
            sys.stderr.write(f"ingest: {refusals}\n")
        tracker.outputs(out)


if __name__ == "__main__":
    run_stage("ingest", main)
