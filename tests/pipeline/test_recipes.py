"""The recipes for CROHME, at their own sizes but for a few steps: they run, and resume exactly."""

from __future__ import annotations

import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from hmer.data.batches import BatchConfig
from hmer.selfsup.attend import attend
from hmer.selfsup.pretrain import pretrain
from hmer.training.finetune import finetune
from hmer.training.fit import RunContext
from pipeline.configure import Params, configure, load_params

pytestmark = pytest.mark.medium


ROOT = Path(__file__).parents[2]
SEED = 3


class Stopped(Exception):
    """Stands for a machine that is taken away."""


class StopAt:
    """Ends the training when it hears of a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def __call__(self, metrics: Any, step: int) -> None:
        if step == self.step:
            raise Stopped


def recipe(name: str, folder: Path) -> Params:
    """The parameters of a named configuration."""
    shutil.copytree(ROOT / "configs", folder / "configs")
    shutil.copy(ROOT / "params.yaml", folder)
    configure(folder, name)
    return load_params(folder / "params.yaml")


def cut_short(config: Any) -> Any:
    """Two steps of a few small images, a leg each; networks and all else stay."""
    few = {"steps": 2, "leg": 1, "workers": 0, "precision": "32-true"}
    changes: dict[str, Any] = {
        "optimisation": config.optimisation.model_copy(update=few),
        "batch": BatchConfig(max_pixels=30_000, max_count=2, buckets=2),
    }
    if hasattr(config, "collapse"):
        changes["collapse"] = 0.0
    return config.model_copy(update=changes)


@pytest.mark.parametrize("name", ["crohme-cpu", "crohme-gpu"])
def test_a_recipe_runs_and_resumes_exactly(name: str, small_dataset: Path, tmp_path: Path) -> None:
    params = recipe(name, tmp_path)
    render = params.base.render.model_copy(update={"unit": 10.0})
    folders = {phase: tmp_path / phase for phase in ("pretrain", "attend", "clean", "resumed")}
    for folder in folders.values():
        folder.mkdir()

    def run(phase: str, log: Any = None) -> RunContext:
        return RunContext(tmp_path / "resume" / phase, log, progress=False)

    train = small_dataset / "train.parquet"
    encoder = folders["pretrain"] / "encoder.safetensors"
    attention = folders["attend"] / "attention.safetensors"
    pretrain(cut_short(params.pretrain), render, train, folders["pretrain"], run("pretrain"), SEED)
    attend(cut_short(params.attend), render, train, encoder, folders["attend"], run("attend"), SEED)
    assert params.finetune.synthesis.wanted

    def third(phase: str, log: Any = None) -> None:
        finetune(
            cut_short(params.finetune), params.model, render, small_dataset, encoder, attention,
            None, folders[phase], run(phase, log), SEED,
        )  # fmt: skip

    third("clean")
    with pytest.raises(Stopped):
        third("resumed", StopAt(2))
    third("resumed")
    weights = [(folders[p] / "model.safetensors").read_bytes() for p in ("clean", "resumed")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("name", ["adapt", "crohme-further"])
def test_a_recipe_goes_on_from_the_shipped_recogniser(
    name: str, small_dataset: Path, tmp_path: Path
) -> None:
    params = recipe(name, tmp_path)
    assert params.finetune.start is not None
    start = ROOT / params.finetune.start
    # The small data set has CROHME's vocabulary, the recogniser more.
    config = cut_short(params.finetune).model_copy(update={"drop_symbols": True})
    weights = []
    for phase, stops in (("clean", 0), ("resumed", 2)):
        folder = tmp_path / phase
        folder.mkdir()
        for log in (StopAt(stops), None) if stops else (None,):
            run = RunContext(tmp_path / f"{phase}-resume", log, progress=False)
            with pytest.raises(Stopped) if log else nullcontext():
                finetune(
                    config, params.model, params.base.render, small_dataset, tmp_path, tmp_path,
                    start, folder, run, SEED,
                )  # fmt: skip
        weights.append((folder / "model.safetensors").read_bytes())
    assert weights[0] == weights[1] != (start / "model.safetensors").read_bytes()
