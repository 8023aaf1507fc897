"""Phase 3."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from hmer.data.dataset import load_expressions
from hmer.data.synthetic_batches import MixingConfig, SynthesisConfig
from hmer.errors import HmerError
from hmer.latex.vocabulary import vocabulary
from hmer.masking import Curriculum, hide_ink
from hmer.models.common.grid import CoMER
from hmer.recognizer import Recognizer
from hmer.training.finetune import Finetune, FinetuneConfig
from hmer.training.optimisation import OptimisationConfig
from tests.samples import read_samples, write_samples

pytestmark = pytest.mark.medium


Train = Callable[..., dict[str, float]]
OUTPUTS = ("model.safetensors", "model.json", "curves.csv", "metrics.json")
FOUR_STEPS = OptimisationConfig(
    steps=4, leg=2, warmup=0.0, learning_rate=0.01, precision="32-true", workers=0
)


def test_outputs(finished: Path) -> None:
    folder = finished / "finetune"
    assert {path.name for path in folder.iterdir()} == {*OUTPUTS, "resume"}
    metrics = json.loads((folder / "metrics.json").read_text())
    assert sorted(metrics) == ["loss", "token_accuracy", "val_exprate_forced", "val_loss"]
    assert all(map(math.isfinite, metrics.values()))
    about = json.loads((folder / "model.json").read_text())
    assert (about["kind"], about["name"]) == ("recogniser", "mask-match")
    assert about["render"]["unit"] == 10
    assert about["config"]["encoder"] == {"name": "compact", "width": 16, "blocks": [1, 1, 1]}
    assert about["vocabulary"]["tokens"] == list(vocabulary("wap").tokens)


COMER = {
    "name": "comer",
    "encoder": {"name": "compact"},
    "decoder": {"layers": 2, "width": 16, "heads": 2, "feedforward": 32},
}


def test_another_recogniser(train: Train, tmp_path: Path) -> None:
    metrics = train("finetune", tmp_path, model=COMER, optimisation=FOUR_STEPS)
    assert all(map(math.isfinite, metrics.values()))
    about = json.loads((tmp_path / "model.json").read_text())
    assert about["name"] == "comer"
    # The encoder is the one of phase 1, the rest as asked for, or as published.
    assert about["config"]["encoder"] == {"name": "compact", "width": 16, "blocks": [1, 1, 1]}
    assert about["config"]["decoder"]["width"] == 16
    assert about["config"]["decoder"]["dropout"] == 0.3
    loaded = Recognizer.load(tmp_path).model
    assert isinstance(loaded, CoMER)
    kept = load_file(tmp_path / "model.safetensors")
    assert all(torch.equal(kept[name], value) for name, value in loaded.state_dict().items())


def test_a_classifier_of_single_symbols_is_fitted_to_the_outcome(
    train: Train, finished: Path, tmp_path: Path
) -> None:
    train("finetune", tmp_path / "lone", lone_symbols=200)
    before, after = (
        load_file(f / "model.safetensors") for f in (finished / "finetune", tmp_path / "lone")
    )
    added = after.keys() - before.keys()
    assert {name.split(".")[0] for name in added} == {"lone_symbol"}
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    # A training that goes on from it leaves it, and fits none unless it is asked to.
    go_on = {"start": str(tmp_path / "lone"), "optimisation": FOUR_STEPS}
    train("finetune", tmp_path / "further", **go_on)
    assert load_file(tmp_path / "further" / "model.safetensors").keys() == before.keys()
    with pytest.raises(HmerError, match="comer has no place for a classifier of such"):
        train("finetune", tmp_path / "other", model=COMER, lone_symbols=9)


def test_pictures_alone_have_no_symbols_to_fit_on(
    train: Train, picture_dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(HmerError, match="the glyph bank is empty"):
        train("finetune", tmp_path, data=picture_dataset, lone_symbols=9)
    assert not (tmp_path / "resume").exists()  # before the training


def test_only_the_wanted_share_of_the_captions_is_used(
    train: Train, small_dataset: Path, tmp_path: Path
) -> None:
    used = set(load_expressions(small_dataset / "train.parquet").share(0.25, seed=3).ids)
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    for name in ("val.parquet", "vocabulary.json"):
        shutil.copyfile(small_dataset / name, spoilt / name)
    samples = list(read_samples(small_dataset / "train.parquet"))
    write_samples(
        spoilt / "train.parquet",
        [s if s.id in used else replace(s, tokens=("x",)) for s in samples],
    )
    few = {"labels": 0.25, "optimisation": FOUR_STEPS}
    train("finetune", tmp_path / "whole", **few)
    train("finetune", tmp_path / "rest", data=spoilt, **few)
    for name in OUTPUTS:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "rest" / name).read_bytes()


def test_a_share_of_the_captions_does_not_go_with_written_ink() -> None:
    written = SynthesisConfig(mixing=MixingConfig(share=0.5))
    with pytest.raises(ValidationError, match=r"labels: .* set .*share"):
        FinetuneConfig(labels=0.5, synthesis=written, optimisation=FOUR_STEPS)


def test_images_alone(train: Train, picture_dataset: Path, tmp_path: Path) -> None:
    assert all(map(math.isfinite, train("finetune", tmp_path, data=picture_dataset).values()))


class Spy:
    """The module's state before and after each step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.states: list[dict[str, torch.Tensor]] = []
        self.training: list[bool] = []
        start, end = Finetune.on_train_batch_start, Finetune.on_train_batch_end

        def on_start(module: Finetune, *args: Any) -> None:
            start(module, *args)
            if not self.states:
                self.note(module)
            self.training.append(cast(Any, module.model.decoder).training)

        def on_end(module: Finetune, *args: Any) -> None:
            end(module, *args)
            self.note(module)

        monkeypatch.setattr(Finetune, "on_train_batch_start", on_start)
        monkeypatch.setattr(Finetune, "on_train_batch_end", on_end)

    def note(self, module: Finetune) -> None:
        self.states.append({k: v.clone() for k, v in module.state_dict().items()})

    def still(self, step: int, part: str) -> set[bool]:
        """Whether the tensors of a part stayed the same in a step."""
        before, after = self.states[step], self.states[step + 1]
        return {torch.equal(before[k], after[k]) for k in after if k.startswith(part)}


@pytest.mark.parametrize("decay", [0.75, 0.0])
def test_the_average_is_what_is_kept(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, decay: float
) -> None:
    spy = Spy(monkeypatch)
    train("finetune", tmp_path, average=decay, optimisation=FOUR_STEPS)
    kept = load_file(tmp_path / "model.safetensors")
    assert len(spy.states) == 5
    moved = 0
    for name, value in kept.items():
        if not value.is_floating_point():
            continue
        newest = spy.states[4][f"model.{name}"]
        # The first update copies; then old * decay + new * (1 - decay).
        wanted = spy.states[1][f"model.{name}"]
        for state in spy.states[2:]:
            wanted = decay * wanted + (1 - decay) * state[f"model.{name}"]
        torch.testing.assert_close(value, wanted)
        moved += not torch.equal(value, newest)
    assert moved == 0 if decay == 0 else moved > len(kept) / 2
    # Validation, after every leg, leaves it in training mode.
    assert spy.training == [True] * 4
    assert False in spy.still(3, "model.encoder.stem.1.running_mean")


def test_only_the_wanted_share_is_masked(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def spy(images: Any, shares: Any, block: int) -> Any:
        assert shares.shape == (len(images), 1) and shares.unique().numel() == len(images)
        asked.append(float(shares.max()))
        assert block == 12  # 1.2 symbol units of 10 pixels
        return hide_ink(images, shares, block)

    monkeypatch.setattr("hmer.training.finetune.hide_ink", spy)
    masking = Curriculum(start=0.0, end=0.4)
    train("finetune", tmp_path / "a", masking=masking, block=1.2, optimisation=FOUR_STEPS)
    # Each expression has a share of its own, up to the curriculum's: nothing is asked in step 0.
    assert len(asked) == 3 and all(0 < s <= m for s, m in zip(asked, (0.1, 0.2, 0.3), strict=True))
    asked.clear()
    train("finetune", tmp_path / "b", masking=masking, masked=0.0, optimisation=FOUR_STEPS)
    assert not asked


def test_loss_that_is_no_number(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Finetune.losses

    def losses(module: Finetune, batch: Any) -> Any:
        found, measured = real(module, batch)
        if module.global_step == 3:
            found = {**found, "word": found["word"] * torch.inf}
        return found, measured

    monkeypatch.setattr(Finetune, "losses", losses)
    with pytest.raises(HmerError, match="became inf at step 3"):
        train("finetune", tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


def test_written_batches_go_on_to_the_last_step(train: Train, tmp_path: Path) -> None:
    """Where a step takes several batches, too."""
    mixing = MixingConfig(first=0.5, share=0.5, settles=0.0, falls=1.0, ends=1.0, chunk=2)
    twice = FOUR_STEPS.model_copy(update={"batches": 2})
    train("finetune", tmp_path, optimisation=twice, synthesis=SynthesisConfig(mixing=mixing))
    assert (tmp_path / "curves.csv").read_text().splitlines()[-1].startswith("4,")
