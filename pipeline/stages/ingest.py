"""Stage `ingest`: from whatever the source is to Parquet files under one contract."""

from __future__ import annotations

from pipeline.launch import run_stage
from pipeline.stage import Stage


def main(stage: Stage) -> None:
    """Raw data in, dataset folder out."""
    from hmer.data.ingest import IngestConfig, ingest
    from hmer.progress import Steps

    config = stage.config(IngestConfig)
    for path in config.paths():
        stage.raw(path)
    with stage.tracked(config) as tracker, stage.outputs("data/dataset") as out:
        with Steps("ingest", None, stage.progress, " expressions") as steps:
            ingest(config, out, steps.update)
        tracker.outputs(out)


if __name__ == "__main__":
    run_stage("ingest", main)
