"""One MLflow run, and what goes into it.

Once work has begun tracking only observes: if the server goes away, a warning is printed and the
stage goes on, for its outputs are what counts.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hmer.files import content_digest
from pipeline.dvcfile import locked_outs
from pipeline.params import leaves
from pipeline.tracking.store import first_line

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import DatasetInput


DIGEST = 36
"""MLflow takes no longer digest."""
MOST = 12
"""Datasets of one run; more would hide the ones that matter."""


def datasets(paths: list[str], root: Path, context: str) -> list[DatasetInput]:
    """What `mlflow.data` would say about the Parquet files in `paths`, without loading them.

    Args:
        paths: files and folders, relative to the project; what is not Parquet is passed over.
        root: the project.
        context: what they are to the run: `input` or `output`.
    """
    import pyarrow.parquet as pq
    from mlflow.entities import Dataset, DatasetInput, InputTag

    versions = locked_outs(root)
    places = [root / path for path in paths if not Path(path).is_absolute()]
    files = {f for p in places for f in (p, *p.glob("*.parquet")) if f.suffix == ".parquet"}
    found = []
    for file in sorted(filter(Path.is_file, files))[:MOST]:
        path = file.relative_to(root).as_posix()
        tags = [InputTag("mlflow.data.context", context)]
        version = next((v for out, v in versions.items() if Path(path).is_relative_to(out)), None)
        if version:
            tags.append(InputTag("dvc", version))
        profile = None
        with suppress(ValueError, OSError):  # of Arrow: the gate says what is wrong with it
            profile = json.dumps({"num_rows": pq.read_metadata(file).num_rows})
        source = json.dumps({"uri": path})
        name, digest = path.removesuffix(".parquet"), content_digest(file)[:DIGEST]
        dataset = Dataset(name, digest, "local", source, profile=profile)
        found.append(DatasetInput(dataset, tags))
    return found


KEPT = {".csv", ".html", ".json", ".png", ".svg"}
"""Outputs copied to the tracking server; data and weights are DVC's."""
LARGEST = 4 * 2**20
PARAM_LENGTH = 6000
TAG_LENGTH = 4000


@dataclass
class Tracker:
    """One MLflow run."""

    client: MlflowClient
    run_id: str
    name: str
    experiment: str = ""
    told: set[str] = field(default_factory=set)
    """Failures of the server that have been told: once is enough."""
    earlier: dict[str, float] = field(default_factory=dict)
    """What earlier parts of the run have cost, where it was killed and goes on."""

    def metrics(self, values: Mapping[str, Any], step: int = 0) -> None:
        """Log all numbers of a possibly nested mapping, under dotted names."""
        numbers = {
            key: float(value)
            for key, value in leaves(values)
            if isinstance(value, int | float) and not isinstance(value, bool)
        }
        self.curve_points([(step, name, value) for name, value in numbers.items()])

    def curve_points(self, points: list[tuple[int, str, float]]) -> None:
        """Log (step, name, value) points; those that are not finite have no place on a curve."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        finite = [point for point in points if math.isfinite(point[2])]
        entities = [Metric(clean(name), value, now, step) for step, name, value in finite]
        for start in range(0, len(entities), 1000):
            self._witness(self.client.log_batch, self.run_id, entities[start : start + 1000])

    def params(self, values: Mapping[str, Any]) -> None:
        """Log parameters."""
        from mlflow.entities import Param

        entities = [Param(clean(k), str(v)[:PARAM_LENGTH]) for k, v in values.items()]
        for start in range(0, len(entities), 100):
            self._witness(self.client.log_batch, self.run_id, (), entities[start : start + 100])

    def outputs(self, out: Path, main: Mapping[str, Any] | None = None) -> None:
        """Log what a stage has written: numbers of `metrics.json`, tables, pages and pictures.

        Args:
            out: the folder, or a file.
            main: the numbers to log in place of all that `metrics.json` has.
        """
        metrics, curves = out / "metrics.json", self._curves(out / "curves.csv")
        if main is not None:
            self.metrics(main)
        elif metrics.is_file():
            values = json.loads(metrics.read_text(encoding="utf-8"))
            # The last value of a curve is on record with its step.
            self.metrics({name: value for name, value in values.items() if name not in curves})
        files = [out] if out.is_file() else sorted(p for p in out.rglob("*") if p.is_file())
        for file in files:
            if file.suffix in KEPT and file.stat().st_size <= LARGEST:
                folder = file.parent.relative_to(out if out.is_dir() else out.parent).as_posix()
                self.artifact(file, None if folder == "." else folder)

    def _curves(self, path: Path) -> set[str]:
        """Log the points of a training's curves that are not on record: the server was away, or
        they belong to another run. Their names."""
        if not path.is_file():
            return set()
        import pandas as pd

        table = pd.read_csv(path, index_col="step", float_precision="round_trip")

        def complete() -> None:
            steps: list[int] = table.index.tolist()
            for name in map(str, table):
                history = self.client.get_metric_history(self.run_id, clean(name))
                known = {point.step for point in history}
                values = zip(steps, table[name].tolist(), strict=True)
                self.curve_points([(step, name, v) for step, v in values if step not in known])

        self._witness(complete)
        return set(map(str, table))

    def document(self, values: Mapping[str, Any], file: str) -> None:
        """Log a JSON file."""
        self._witness(self.client.log_dict, self.run_id, dict(values), file)

    def artifact(self, file: Path, folder: str | None = None) -> None:
        """Log one file."""
        self._witness(self.client.log_artifact, self.run_id, str(file), folder)

    def table(self, frame: pd.DataFrame, file: str) -> None:
        """Log a table that the user interface shows and compares between runs."""
        self._witness(self.client.log_table, self.run_id, frame, file)

    def data(self, paths: list[str], root: Path, context: str) -> None:
        """Log the Parquet files among `paths` (or in folders of them) as datasets of the run."""
        found = datasets(paths, root, context)
        if found:
            self._witness(self.client.log_inputs, self.run_id, found)

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        from mlflow.entities import RunTag

        tags = [RunTag(key, value[:TAG_LENGTH]) for key, value in values.items()]
        self._witness(self.client.log_batch, self.run_id, (), (), tags)

    def end(self, status: str) -> None:
        """Close the run: FINISHED, FAILED or KILLED."""
        self._witness(self.client.set_terminated, self.run_id, status)

    def _witness(self, act: Callable[..., Any], *arguments: Any) -> None:
        try:
            act(*arguments)
        except Exception as error:  # any failure of the server; the work must go on
            self.warn(error)

    def warn(self, error: Exception) -> None:
        """Tell that something is not on record, in one line and once."""
        first = first_line(error)
        if first not in self.told:
            self.told.add(first)
            sys.stderr.write(f"warning: {self.name}: not tracked: {first}\n")


def clean(name: str) -> str:
    """A metric name that MLflow takes."""
    return "".join(c if c.isalnum() or c in "_-. /" else "_" for c in name)
