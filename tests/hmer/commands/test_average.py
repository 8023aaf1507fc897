"""`hmer average` as a person calls it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hmer.cli import main
from hmer.models.checkpoint import load_recogniser, save_module
from hmer.recognizer import SHIPPED, Recognizer


def call(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr(sys, "argv", ["hmer", "average", *map(str, arguments)])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


@pytest.fixture
def other(model_folder: Path, tmp_path: Path) -> Path:
    """The same recogniser with other weights."""
    model = load_recogniser(model_folder).model
    generator = torch.Generator().manual_seed(1)
    for value in model.parameters():
        value.data += 0.1 * torch.randn(value.shape, generator=generator)
    about = json.loads((model_folder / "model.json").read_text(encoding="utf-8"))
    folder = tmp_path / "other"
    folder.mkdir()
    save_module(model, folder / "model.safetensors", about)
    return folder


def test_each_tensor_is_the_weighted_mean(
    model_folder: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "mean"
    assert call(monkeypatch, f"{model_folder}=3", f"{other}=1", "--out", out) == 0
    one, two, mean = (load_file(f / "model.safetensors") for f in (model_folder, other, out))
    assert one.keys() == mean.keys()
    for name, value in mean.items():
        torch.testing.assert_close(value, (0.75 * one[name] + 0.25 * two[name]).to(value.dtype))
    assert Recognizer.load(out).vocabulary.tokens == Recognizer.load(other).vocabulary.tokens


def test_of_a_training_state_the_averaged_weights_are_taken(
    model_folder: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = load_recogniser(other)
    about = {"name": saved.name, "config": {}, "render": {}}
    about["vocabulary"] = saved.reads.vocabulary.to_json()
    weights = {f"average.module.{name}": v for name, v in saved.model.state_dict().items()}
    newest = {name.replace("average.module", "model"): -v for name, v in weights.items()}
    (tmp_path / "state").mkdir()
    torch.save({"about": about, "state_dict": weights | newest}, tmp_path / "state" / "last.ckpt")
    for folder in (other, tmp_path / "state"):
        parts = f"{model_folder}=1", f"{folder}=1"
        assert call(monkeypatch, *parts, "--out", tmp_path / f"of-{folder.name}") == 0
    one, two = (load_file(tmp_path / f"of-{n}" / "model.safetensors") for n in ("other", "state"))
    for name, value in one.items():
        torch.testing.assert_close(value, two[name], rtol=0, atol=0)


def test_a_classifier_of_single_symbols_is_fitted_and_not_averaged(
    finished: Path, small_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained, lone = f"{finished / 'finetune'}=1", tmp_path / "lone"
    fitted = "--lone-symbols", 200, "--dataset", small_dataset
    assert call(monkeypatch, trained, "--out", lone, *fitted) == 0
    before, after = (load_file(f / "model.safetensors") for f in (finished / "finetune", lone))
    assert {name.split(".")[0] for name in after.keys() - before.keys()} == {"lone_symbol"}
    assert Recognizer.load(lone).model.lone_symbol is not None
    # With one that has none: the mean has none.
    assert call(monkeypatch, f"{lone}=1", trained, "--out", tmp_path / "mean") == 0
    assert load_file(tmp_path / "mean" / "model.safetensors").keys() == before.keys()


def test_what_cannot_be_averaged_is_told(
    model_folder: Path,
    other: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    about = json.loads((other / "model.json").read_text(encoding="utf-8"))
    shipped = Recognizer.load().vocabulary
    state = tmp_path / "state"
    state.mkdir()
    (state / "last.ckpt").touch()
    assert len(shipped) != len(about["vocabulary"]["tokens"])
    for arguments, told in (
        ((f"{model_folder}",), "give a folder, ="),
        ((f"{model_folder}=0",), "weights are all 0"),
        ((f"{model_folder}=-1",), "its weight, as in"),
        ((f"{model_folder}=nan",), "its weight, as in"),
        ((f"{state}=1",), "name a model folder first"),
        ((f"{tmp_path / 'none'}=1",), "no model there"),
        ((f"{model_folder}=1", f"{SHIPPED}=1"), "another vocabulary"),
        ((f"{model_folder}=1", "--lone-symbols", 9), "give both, or neither"),
    ):
        assert call(monkeypatch, *arguments, "--out", tmp_path / "out") == 2
        errors = capfd.readouterr().err
        assert told in errors and len(errors.splitlines()) == 1
        assert not (tmp_path / "out").exists()
    assert call(monkeypatch, f"{model_folder}=1", "--out", tmp_path) == 2
    assert "holds other files than a model" in capfd.readouterr().err and state.is_dir()
