"""Training that goes on from a finished recogniser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from hmer.errors import HmerError
from hmer.ink.render import RenderConfig
from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.choice import ModelConfig
from hmer.training.further import further
from hmer.training.optimisation import OptimisationConfig

WORDS, RENDER = vocabulary("wap"), RenderConfig(unit=10)
DECODER = {"layers": 1, "width": 16, "heads": 2, "feedforward": 32}


def choice(**given: Any) -> ModelConfig:
    return ModelConfig.model_validate(given)


@pytest.mark.parametrize(
    "given", [{}, {"decoder": DECODER}, {"encoder": {"width": 16}}, {"name": "mask-match"}]
)
def test_has_the_weights_and_the_sizes_of_the_other(finished: Path, given: Any) -> None:
    folder = finished / "finetune"
    found = further(choice(**given), folder, WORDS, RENDER)
    state, stored = found.model.state_dict(), load_file(folder / "model.safetensors")
    assert all(torch.equal(state[name], value) for name, value in stored.items())
    assert found.model.config.decoder.width == 16  # type: ignore[attr-defined]
    assert {name.split(".")[0] for name in state.keys() - stored.keys()} == {"symbol_head"}


@pytest.mark.parametrize(
    ("given", "words", "render", "wanted"),
    [
        ({"name": "comer"}, WORDS, RENDER, "holds a mask-match, but model.name is comer"),
        ({"decoder": {"width": 32}}, WORDS, RENDER, r"another decoder\.width than model\.decoder"),
        ({"encoder": {"width": 24}}, WORDS, RENDER, r"another encoder\.width than"),
        ({}, vocabulary("comer"), RENDER, r"dialect wap, the captions have .* of comer"),
        ({}, Vocabulary("wap", ["x", "y"]), RENDER, "the captions have 5 of wap"),
        ({}, WORDS, RenderConfig(unit=12), r"unit 10; set base\.render\.unit .*\(it is 12\)"),
    ],
)
def test_a_recogniser_that_does_not_fit(
    finished: Path, given: Any, words: Vocabulary, render: RenderConfig, wanted: str
) -> None:
    with pytest.raises(HmerError, match=wanted) as caught:
        further(choice(**given), finished / "finetune", words, render)
    assert "finetune.start" in str(caught.value)


def test_no_recogniser(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(HmerError, match=r"finetune\.start: .*none.*no model there"):
        further(choice(), tmp_path / "none", WORDS, RENDER)
    with pytest.raises(HmerError, match=r"finetune\.start: .*no model there"):
        further(choice(), finished / "attend", WORDS, RENDER)


def test_a_training_goes_on(
    train: Callable[..., dict[str, float]], finished: Path, tmp_path: Path
) -> None:
    start = finished / "finetune"
    still = OptimisationConfig(
        steps=1, leg=1, learning_rate=1e-12, weight_decay=0.0, precision="32-true", workers=0
    )
    train("finetune", tmp_path, start=str(start), model={}, average=0.0, optimisation=still)
    before, after = (load_file(path / "model.safetensors") for path in (start, tmp_path))
    assert before.keys() == after.keys()
    for name, value in before.items():
        if "running" not in name and "num_batches" not in name:
            torch.testing.assert_close(after[name], value)
    about = [json.loads((path / "model.json").read_text()) for path in (start, tmp_path)]
    assert about[1]["start"] == about[0]["sha256"]
    assert about[1]["config"] == about[0]["config"] and "start" not in about[0]
