"""Parquet files as MLflow datasets: name, digest, rows, columns, and the version that DVC knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from hmer.errors import HmerError
from pipeline.resume import content_digest
from pipeline.sections import read_yaml

if TYPE_CHECKING:
    from mlflow.entities import DatasetInput

DIGEST = 36
"""MLflow takes no longer digest."""
MOST = 12
"""Datasets of one run; more would hide the ones that matter."""
KINDS = {"string": "string", "binary": "binary", "bool": "boolean", "float": "float",
         "double": "double", "int32": "integer", "int64": "long"}  # fmt: skip


def datasets(paths: list[str], root: Path, context: str) -> list[DatasetInput]:
    """What `mlflow.data` would say about the Parquet files in `paths`, without loading them.

    Args:
        paths: files and folders, relative to the project; what is not Parquet is passed over.
        root: the project.
        context: what they are to the run: `input` or `output`.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    versions = locked_versions(root)
    found = []
    for file in _files(paths, root)[:MOST]:
        path = file.relative_to(root).as_posix()
        dataset = Dataset(
            name=path.removesuffix(".parquet"),
            digest=content_digest(file)[:DIGEST],
            source_type="local",
            source=json.dumps({"uri": path}),
            **_described(file),
        )
        tags = [InputTag("mlflow.data.context", context)]
        version = next((v for out, v in versions.items() if Path(path).is_relative_to(out)), None)
        if version:
            tags.append(InputTag("dvc", version))
        found.append(DatasetInput(dataset, tags))
    return found


def locked_versions(root: Path) -> dict[str, str]:
    """MD5 by output, as `dvc.lock` has them: `dvc checkout` and remotes know content by it."""
    try:
        stages = read_yaml(root / "dvc.lock").get("stages") or {}
    except HmerError:
        return {}
    outs = [out for stage in stages.values() for out in stage.get("outs") or []]
    return {str(out["path"]): str(out.get("md5", "")) for out in outs if "path" in out}


def _files(paths: list[str], root: Path) -> list[Path]:
    found: set[Path] = set()
    for path in paths:
        place = root / path
        if not place.resolve().is_relative_to(root.resolve()):
            continue
        found |= set(place.glob("*.parquet")) if place.is_dir() else {place}
    return sorted(file for file in found if file.suffix == ".parquet" and file.is_file())


def _described(file: Path) -> dict[str, str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            schema, rows = opened.schema_arrow, opened.metadata.num_rows
    except (pa.ArrowException, OSError):
        return {}
    columns = [
        {"type": KINDS.get(str(column.type), "string"), "name": column.name, "required": True}
        for column in schema
    ]
    return {
        "schema": json.dumps({"mlflow_colspec": columns}),
        "profile": json.dumps({"num_rows": rows}),
    }
