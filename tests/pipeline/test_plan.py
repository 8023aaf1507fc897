"""What the plan says of phases and code, and what a phase does that is not needed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from hmer.models.registry import RECOGNISERS, ModelConfig
from pipeline.configure import FOLDER, configure, load_params
from pipeline.dvcfile import declaration
from pipeline.params import named_files
from pipeline.stage import Stage
from pipeline.stages.plan import StartConfig, main, model_code, phases, skipped

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("model", "start", "needed"),
    [
        ({"name": "mask-match"}, {}, {"pretrain", "attend"}),
        ({"name": "mask-match"}, {"init": "pretrain"}, {"pretrain"}),
        ({"name": "mask-match"}, {"init": "scratch"}, set()),
        ({"name": "mask-match"}, {"start": "hmer/shipped"}, set()),
        ({"name": "bttr"}, {}, set()),
        ({"name": "bttr", "encoder": {"name": "compact"}}, {}, {"pretrain"}),
    ],
)
def test_phases_that_fine_tuning_takes_weights_from(
    model: dict[str, object], start: dict[str, str], needed: set[str]
) -> None:
    found = phases(ModelConfig.model_validate(model), StartConfig.model_validate(start))
    assert {name for name, phase in found.items() if phase.needed} == needed
    assert all(phase.needed or phase.reason for phase in found.values())


def test_only_the_chosen_recogniser_counts(tmp_path: Path) -> None:
    folder = tmp_path / "hmer/models"
    shutil.copytree(ROOT / "hmer/models", folder, ignore=shutil.ignore_patterns("__pycache__"))
    names = list(RECOGNISERS)
    before = {name: model_code(folder, name, names) for name in names}
    [bttr, *_] = [p for p in (folder / "bttr.py", *folder.glob("bttr/*.py")) if p.is_file()]
    bttr.write_text(bttr.read_text() + "\nLATER = 1\n")
    after = {name: model_code(folder, name, names) for name in names}
    assert before["bttr"] != after["bttr"]
    assert before["mask-match"] == after["mask-match"]
    store = next(
        p for p in folder.glob("*.py") if p.stem not in {n.replace("-", "_") for n in names}
    )
    store.write_text(store.read_text() + "\nLATER = 1\n")
    assert not after.items() & {n: model_code(folder, n, names) for n in names}.items()


def stage(name: str, root: Path) -> Stage:
    return Stage(name, root, declaration(root, name))


def test_a_phase_that_is_not_needed_says_so_and_leaves_the_size_of_its_network(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from hmer.models.checkpoint import read_config
    from hmer.models.common.encoders import CompactConfig

    for name in ("configs", "hmer/models", "dvc.yaml", "params.yaml"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copyfile
        (tmp_path / name).parent.mkdir(exist_ok=True)
        copy(ROOT / name, tmp_path / name)
    configure(tmp_path, None, ["finetune.init=scratch", "pretrain.encoder.width=48"])
    main(stage("plan", tmp_path))
    pretrain = stage("pretrain", tmp_path)
    assert skipped(pretrain)
    assert "pretrain: not needed: finetune.init is scratch" in capsys.readouterr().out
    weights = tmp_path / "data/models/pretrain/encoder.safetensors"
    assert read_config(weights, "encoder", CompactConfig).width == 48
    assert json.loads((weights.parent / "metrics.json").read_text()) == {}
    configure(tmp_path, None, ["finetune.init=auto"])
    main(stage("plan", tmp_path))
    assert not skipped(pretrain)


@pytest.mark.parametrize("name", named_files(ROOT / FOLDER))
def test_no_configuration_trains_a_phase_for_nothing(name: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    configure(tmp_path, name)
    params = load_params(tmp_path / "params.yaml")
    assert params.pretrain.optimisation.steps > 1 and params.attend.optimisation.steps > 1
