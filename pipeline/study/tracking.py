"""One MLflow run per experiment, side by side in an experiment of the study's own.

The stages that run for it are its children, in the project's own store. A stage that was shared
with an experiment before is linked instead.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pipeline.sections import leaves
from pipeline.study.workspace import Workspace
from pipeline.tracking.lineage import links, stories
from pipeline.tracking.provenance import origin
from pipeline.tracking.store import EXPERIMENT, TrackingError, answered, connect
from pipeline.tracking.tracker import Tracker

NAME = "MLFLOW_EXPERIMENT_NAME"


@contextmanager
def study_experiment(study: str) -> Iterator[str]:
    """For the block, this process and its children track into the study's MLflow experiment."""
    before = os.environ.get(NAME)
    os.environ[NAME] = f"{before or EXPERIMENT}-{study}"
    try:
        yield os.environ[NAME]
    finally:
        if before is None:
            del os.environ[NAME]
        else:
            os.environ[NAME] = before


class Runs:
    """The runs of the experiments that are under way."""

    def __init__(self, root: Path) -> None:
        """Open the store.

        Raises:
            TrackingError: it does not answer.
        """
        self._client, self._experiment = connect(root)
        self._open: dict[str, Tracker] = {}

    def open(self, workspace: Workspace) -> str:
        """The id of the experiment's run, begun now, or earlier by a process that was killed.

        Raises:
            TrackingError: the store does not answer.
        """
        one = workspace.experiment
        if one.name not in self._open:
            run_id = self._left(workspace.record)
            if run_id is None:
                tags = {"stage": "experiment", "study": one.study, "variant": one.variant}
                tags |= {"seed": str(one.seed), "dvc.experiment": one.name}
                with answered():
                    tags |= origin(workspace.project)
                    run = self._client.create_run(self._experiment, tags=tags, run_name=one.name)
                run_id = str(run.info.run_id)
                workspace.record.parent.mkdir(parents=True, exist_ok=True)
                workspace.record.write_text(json.dumps({"run": run_id}), encoding="utf-8")
            tracker = Tracker(self._client, run_id, one.name, self._experiment)
            tracker.params(dict(leaves(one.params)))
            self._open[one.name] = tracker
        return self._open[one.name].run_id

    def finish(self, workspace: Workspace, commit: str, metrics: Mapping[str, float]) -> None:
        """The experiment has ended well; its workspace is still there."""
        tracker = self._tracker(workspace)
        told = stories(self._client, self._experiment, workspace.project, tracker.run_id)
        named = [story for story in told if story.state not in ("missing", "unknown")]
        tracker.tags({"dvc.commit": commit, **links(named, self._experiment)})
        tracker.metrics(metrics)
        tracker.metrics({"cost.seconds": sum(story.seconds or 0.0 for story in named)})
        self._end(workspace, "FINISHED")

    def fail(self, workspace: Workspace, reason: str) -> None:
        """The experiment has failed."""
        self._tracker(workspace).tags({"error": reason})
        self._end(workspace, "FAILED")

    def stop(self, workspaces: Mapping[str, Workspace]) -> None:
        """All that is under way has been interrupted."""
        for name in list(self._open):
            self._end(workspaces[name], "KILLED")

    def _tracker(self, workspace: Workspace) -> Tracker:
        self.open(workspace)
        return self._open[workspace.experiment.name]

    def _end(self, workspace: Workspace, status: str) -> None:
        self._open.pop(workspace.experiment.name).end(status)
        workspace.record.unlink(missing_ok=True)

    def _left(self, record: Path) -> str | None:
        try:
            run_id = str(json.loads(record.read_text(encoding="utf-8"))["run"])
            with answered():
                run = self._client.get_run(run_id)
        except (OSError, ValueError, KeyError, TrackingError):
            return None
        return run_id if run.info.status == "RUNNING" else None
