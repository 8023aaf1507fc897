"""A recogniser as a *models-from-code* pyfunc: code, safetensors, pinned requirements."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import packages_distributions, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.dvcfile import PARAMS
from pipeline.imports import reach
from pipeline.params import leaves, read_yaml
from pipeline.registry.versions import FILES

if TYPE_CHECKING:
    from mlflow.models import ModelSignature
    from mlflow.models.model import ModelInfo

    from pipeline.registry.register import Candidate
    from pipeline.tracking.tracker import Tracker

SERVING = Path(__file__).with_name("serving_model.py")
SERVED = "hmer.recognizer"


def log_model(candidate: Candidate, tracker: Tracker, root: Path) -> ModelInfo:
    """The candidate as a logged model of the run, with what it was measured at."""
    import mlflow

    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    with (
        copied(root, reach(SERVED, root).files) as code,
        copied(candidate.model, FILES, "recogniser") as model,
        mlflow.start_run(run_id=tracker.run_id),
    ):
        info: ModelInfo = mlflow.pyfunc.log_model(
            name="recogniser",
            python_model=str(SERVING),
            artifacts={"model": str(model)},
            model_config={"decoding": candidate.decoding},
            params=trained_with(candidate, root),
            code_paths=[str(code / "hmer")],
            pip_requirements=requirements(root),
            signature=signature(),
            input_example=input_example(candidate),
        )
        mlflow.log_metrics(dict(leaves(candidate.scores)), model_id=info.model_id)
    return info


def trained_with(candidate: Candidate, root: Path) -> dict[str, str]:
    """Parameters on the page of the logged model: what was set for recogniser and training."""
    params = read_yaml(root / PARAMS)
    chosen = {key: params.get(key) or {} for key in ("model", "finetune")}
    return {key: str(value) for key, value in leaves({**chosen, "decoding": candidate.decoding})}


def signature() -> ModelSignature:
    """A picture or ink in, LaTeX with its confidence out."""
    from mlflow.models import ModelSignature
    from mlflow.types.schema import ColSpec, Schema

    outputs = {"latex": "string", "confidence": "double", "error": "string"}
    return ModelSignature(
        inputs=Schema([ColSpec("binary", "image")]),
        outputs=Schema([ColSpec(kind, name) for name, kind in outputs.items()]),
    )


def requirements(root: Path) -> list[str]:
    """Pinned distributions that the served code imports, as installed here."""
    needed = reach(SERVED, root).foreign | {"mlflow", "pandas"}
    known = packages_distributions()
    # Several distributions may share a module (mlflow, mlflow-skinny): its namesake is meant.
    names = sorted(
        {
            module if module in known[module] else known[module][0]
            for module in needed
            if module in known
        },
        key=str.lower,
    )
    return [f"{name}=={version(name)}" for name in names]


@contextmanager
def copied(source: Path, files: Iterable[str], name: str = "") -> Iterator[Path]:
    """A temporary folder, called `name`, with these files of `source` and no others."""
    with tempfile.TemporaryDirectory() as folder:
        for file in sorted(files):
            target = Path(folder) / name / file
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, target)
        yield Path(folder) / name


def input_example(candidate: Candidate) -> Any:
    """The first image of the test set, as a request would send it."""
    import pandas as pd
    import pyarrow.parquet as pq

    first = pq.ParquetFile(candidate.test).read_row_group(0, columns=["image"])
    return pd.DataFrame({"image": [first["image"][0].as_py()]})
