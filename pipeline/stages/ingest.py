"""Stage `ingest`: from whatever the source is to Parquet files under one contract."""

from __future__ import annotations

from pipeline.stage import Stage, run_stage


def main(stage: Stage) -> None:
    """Raw data in, dataset folder out."""
    from hmer.data.ingest import IngestConfig, ingest

    config = stage.config(IngestConfig)
    with stage.tracked(config) as tracker, stage.outputs("data/dataset") as out:
        ingest(config, out, stage.progress)
        tracker.outputs(out)


if __name__ == "__main__":
    run_stage("ingest", main)
