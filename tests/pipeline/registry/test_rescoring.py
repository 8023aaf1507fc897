"""A champion scored anew: the real evaluation of a real model, after the test data have changed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from hmer.data.batches import BatchConfig
from hmer.decoding.bidirectional import DecodingConfig
from hmer.evaluation.corruptions import OcclusionConfig
from hmer.evaluation.evaluate import EvaluateConfig, evaluate
from hmer.evaluation.prediction import read_trials
from hmer.evaluation.report import ReportConfig
from pipeline.dvcfile import Declaration
from pipeline.registry.decision import RegisterConfig
from pipeline.registry.register import Candidate, Registration, candidate, register, rescore
from pipeline.stage import Stage
from pipeline.tracking.runs import stage_run
from tests.pipeline.conftest import tiny_model
from tests.samples import read_samples, write_samples

pytestmark = pytest.mark.medium


ROOT = Path(__file__).parents[3]
GREEDY = DecodingConfig(beam=1, both_directions=False, max_length=6)
SCORING = EvaluateConfig(
    decoding=GREEDY,
    batch=BatchConfig(max_pixels=60_000, max_count=4, buckets=2),
    occlusion=OcclusionConfig(levels=(0.3,), limit=3, decoding=GREEDY, missing_limit=1),
    report=ReportConfig(samples=1, attention=1),
)


@pytest.fixture(scope="module")
def project(
    small_dataset: Path, empty_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Two models and a data set whose development set can be changed."""
    root = tmp_path_factory.mktemp("project")
    shutil.copyfile(empty_store, root / "mlflow.db")
    for seed in (1, 2):
        tiny_model(root / f"model-{seed}", seed)
    for name, rows in (("before", slice(0, 5)), ("after", slice(1, 6))):
        folder = root / name
        folder.mkdir()
        for file in filter(Path.is_file, small_dataset.iterdir()):
            os.link(file, folder / file.name)
        samples = list(read_samples(small_dataset / "test-synthetic.parquet"))[rows]
        write_samples(folder / "dev-2013.parquet", [replace(s, split="dev-2013") for s in samples])
    (root / "params.yaml").write_text("register: {name: toy}")
    (root / "dvc.yaml").write_text("stages: {}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}")
        patch.delenv("HMER_PARENT_RUN", raising=False)
        yield root


def asks(project: Path, seed: int, data: str) -> Candidate:
    """A candidate that the stage `evaluate` has scored."""
    out = project / f"evaluation-{seed}-{data}"
    out.mkdir()
    metrics = evaluate(
        SCORING.for_comparison(), project / f"model-{seed}", project / data, out,
        names=["dev-2013"],
    )  # fmt: skip
    assert json.loads((out / "metrics.json").read_text()) == metrics
    return candidate(project / f"model-{seed}", project / data, out, "auto")


def registered(project: Path, found: Candidate) -> Registration:
    stage = Stage("register", project, Declaration("register", (), (), ()))

    anew = partial(rescore, SCORING)
    with stage_run(stage, {}) as tracker:
        return register(RegisterConfig(name="toy"), found, tracker, ROOT, anew)


def test_the_champion_is_scored_on_the_new_data(project: Path) -> None:
    first = registered(project, asks(project, 1, "before"))
    assert (first["decision"], first["split"]) == ("champion", "dev-2013")
    assert "development set" in first["split_reason"]

    # The same weights on other data: the champion meets itself, scored anew.
    again = registered(project, asks(project, 1, "after"))
    assert again["champion_before"]["rescored"] and not again["champion_before"]["same_data"]
    assert again["comparison"]["n"] == 5 and again["comparison"]["gain"] == 0.0
    assert again["comparison"]["occluded_gain"] == 0.0
    assert again["decision"] == "challenger"


def test_it_is_read_as_a_candidate_is(project: Path, tmp_path: Path) -> None:
    found = asks(project, 2, "before")
    report = rescore(SCORING, project / "model-2", found, tmp_path)
    assert read_trials(report) == found.evidence
