"""Experiments as parameters: what changes with a seed, what with a variant, and what does not."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from hmer.errors import HmerError
from pipeline.configure import check_params
from pipeline.params import named_files
from pipeline.study import run as module
from pipeline.study.config import FOLDER as STUDIES
from pipeline.study.config import StudyConfig, load_study
from pipeline.study.run import rows

ROOT = Path(__file__).parents[3]


def study(**changes: Any) -> StudyConfig:
    values: dict[str, Any] = {
        "title": "t",
        "configuration": "default",
        "seeds": [3, 4],
        "metrics": [{"name": "exprate", "heading": "ExpRate"}],
        "reference": "plain",
        "variants": {
            "plain": {"describe": "as it is"},
            "short": {"describe": "short", "settings": {"finetune": {"masked": 0.25}}},
        },
        "report": "b",
    }
    return StudyConfig.model_validate({**values, **changes})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    (tmp_path / "data/raw").mkdir(parents=True)
    return tmp_path


def test_a_seed_changes_the_training_and_nothing_else(root: Path) -> None:
    made = rows(root, "mine", study())
    assert [one.name for one in made] == [
        "mine-plain-3", "mine-short-3", "mine-plain-4", "mine-short-4"
    ]  # fmt: skip
    assert made[1].params["finetune"]["masked"] == 0.25
    assert [one.params["base"]["seed"] for one in made] == [3, 3, 4, 4]
    for one in made:
        checked = check_params(one.params, "params.yaml")
        assert checked.ingest.seed == 0 and checked.evaluate.seed == 0
    assert "# Parameters of every stage" in made[0].text
    assert not (root / "params.yaml").exists()
    assert [one.seed for one in rows(root, "mine", study(), seeds=[7])] == [7, 7]


def test_settings_are_checked_before_anything_runs(root: Path) -> None:
    wrong = {
        "plain": {"describe": "x"},
        "bad": {"describe": "y", "settings": {"model": {"nam": 1}}},
    }
    with pytest.raises(HmerError, match=r"configs/studies/mine.yaml, variant bad: model.nam"):
        rows(root, "mine", study(variants=wrong))
    with pytest.raises(HmerError, match=r"no configuration 'defalt' .* did you mean default"):
        rows(root, "mine", study(configuration="defalt"))
    with pytest.raises(HmerError, match="no data at nowhere: put them there"):
        rows(root, "mine", study(), settings=["raw=nowhere"])


@pytest.mark.parametrize("name", named_files(ROOT / STUDIES))
def test_the_variants_of_the_shipped_studies_are_sound(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_check_raw", lambda *_: None)
    found = load_study(ROOT, name)
    made = rows(ROOT, name, found)
    assert len({one.name for one in made}) == len(found.variants) * len(found.seeds)
    # Every variant differs from every other in its parameters.
    assert len({one.text for one in made}) == len(made)
