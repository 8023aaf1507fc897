"""What a recogniser's training starts from."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from hmer.errors import HmerError
from hmer.ink.render import RenderConfig
from hmer.latex.vocabulary import Vocabulary, chosen_vocabulary, vocabulary
from hmer.models.base import Recogniser
from hmer.models.checkpoint import load_recogniser, save_module
from hmer.models.common.attention import AttentionConfig, AttentionNetwork
from hmer.models.common.densenet import DenseNet
from hmer.models.common.grid import CoMER
from hmer.models.mask_match import MaskMatch
from hmer.models.registry import ModelConfig, build_recogniser
from hmer.training.optimisation import OptimisationConfig
from hmer.training.warm_start import further, initial, learnt, transplant

pytestmark = pytest.mark.medium


WORDS = vocabulary("wap")
DECODER = {"layers": 1, "width": 16, "heads": 2, "feedforward": 32}
MASK_MATCH = ModelConfig.model_validate({"decoder": DECODER})


def comer(**encoder: Any) -> ModelConfig:
    return ModelConfig.model_validate({"name": "comer", "encoder": encoder, "decoder": DECODER})


def trained(finished: Path) -> tuple[Path, Path]:
    return (
        finished / "pretrain" / "encoder.safetensors",
        finished / "attend" / "attention.safetensors",
    )


def loaded(part: nn.Module, file: Path) -> bool:
    stored, state = load_file(file), part.state_dict()
    assert stored.keys() == state.keys()
    return all(torch.equal(state[name], value) for name, value in stored.items())


@pytest.mark.parametrize("init", ["scratch", "pretrain", "attend", "auto"])
def test_loads_what_it_says(finished: Path, init: Any) -> None:
    encoder, attention = trained(finished)
    model = initial(MASK_MATCH, init, WORDS, encoder, attention)
    assert isinstance(model, MaskMatch)
    assert loaded(model.encoder, encoder) == (init != "scratch")
    assert loaded(model.attention, attention) == (init in ("attend", "auto"))
    assert model.config.encoder.width == 16  # type: ignore[union-attr]


@pytest.mark.parametrize("init", ["scratch", "pretrain", "auto"])
def test_any_recogniser_may_have_the_trained_encoder(finished: Path, init: Any) -> None:
    encoder, attention = trained(finished)
    model = initial(comer(name="compact"), init, WORDS, encoder, attention)
    assert isinstance(model, CoMER)
    assert loaded(model.encoder, encoder) == (init != "scratch")
    assert (model.stride, model.encoder.channels) == (8, 64)


def test_another_encoder_starts_from_nothing(finished: Path, tmp_path: Path) -> None:
    small = comer(name="densenet", growth=4, layers=1)
    for init in ("scratch", "auto"):
        model = initial(small, init, WORDS, tmp_path / "none", tmp_path / "none")
        assert isinstance(model.encoder, DenseNet)
    with pytest.raises(HmerError, match=r"'pretrain'.*comer has another.*compact.*scratch"):
        initial(small, "pretrain", WORDS, *trained(finished))
    with pytest.raises(HmerError, match="comer has no attention network"):
        initial(comer(name="compact"), "attend", WORDS, *trained(finished))


def test_another_size_starts_from_nothing(finished: Path) -> None:
    wide = comer(name="compact", width=24)
    assert initial(wide, "scratch", WORDS, *trained(finished)).encoder.channels == 96
    with pytest.raises(HmerError, match=r"encoder\.safetensors.*model\.encoder\.width.*16, not 24"):
        initial(wide, "auto", WORDS, *trained(finished))
    assert isinstance(
        initial(comer(name="compact", width=16), "auto", WORDS, *trained(finished)), CoMER
    )
    other = ModelConfig.model_validate({"attention": {"heads": 4}})
    with pytest.raises(HmerError, match=r"attention\.safetensors.*model\.attention\.heads"):
        initial(other, "attend", WORDS, *trained(finished))
    made = initial(other, "pretrain", WORDS, *trained(finished))
    assert isinstance(made, MaskMatch) and made.attention.heads == 4


def test_weights_that_do_not_fit(finished: Path, tmp_path: Path) -> None:
    encoder, attention = trained(finished)

    def build(encoder: Path, attention: Path) -> None:
        initial(MASK_MATCH, "attend", WORDS, encoder, attention)

    with pytest.raises(HmerError, match="missing"):
        build(tmp_path / "encoder.safetensors", attention)
    with pytest.raises(HmerError, match=r"attention\.json.*no encoder"):
        build(attention, attention)
    narrow = AttentionConfig(heads=2, hidden=8)
    about = {"kind": "attention", "config": narrow.model_dump(mode="json")}
    save_module(AttentionNetwork(32, narrow), tmp_path / "narrow.safetensors", about)
    with pytest.raises(HmerError, match=r"narrow\.safetensors.*architecture"):
        build(encoder, tmp_path / "narrow.safetensors")
    (tmp_path / "old.json").write_text('{"kind": "encoder", "config": {"depth": 3}}')
    with pytest.raises(HmerError, match=r"old\.json.*not the configuration"):
        build(tmp_path / "old.safetensors", attention)
    shutil.copy(encoder.with_suffix(".json"), tmp_path / "gone.json")
    with pytest.raises(HmerError, match=r"gone\.safetensors.*no weights"):
        build(tmp_path / "gone.safetensors", attention)


RENDER = RenderConfig(unit=10)


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
        ({"decoder": {"feedforward": 16}}, WORDS, RENDER, "larger than the parameters of `model`"),
        ({"encoder": {"width": 8}}, WORDS, RENDER, r"encoder\.stem\S+ is 16x1x5x5, not 8x1x5x5"),
        ({}, vocabulary("comer"), RENDER, r"lacks: '; add them to .* finetune\.drop_symbols"),
        ({}, Vocabulary("wap", ["x", "y"]), RENDER, r"lacks: ! ' \( \) "),
        ({}, WORDS, RenderConfig(unit=12), r"unit 10; set base\.render\.unit .*\(it is 12\)"),
    ],
)
def test_a_recogniser_that_does_not_fit(
    finished: Path, given: Any, words: Vocabulary, render: RenderConfig, wanted: str
) -> None:
    with pytest.raises(HmerError, match=wanted) as caught:
        further(choice(**given), finished / "finetune", words, render)
    assert "finetune.start" in str(caught.value)


def outputs(model: Recogniser) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of two images, and the logits of a first step."""
    images = torch.zeros(2, 1, 64, 96)
    images[0, 0, 20:24, 10:80] = images[1, 0, 8:50, 30:33] = 1.0
    with torch.no_grad():
        encoded = model.encode(images)
        return encoded.features, model.step(torch.ones(2, 1, dtype=torch.long), encoded, ())[0]


@pytest.mark.parametrize(
    "given",
    [
        {"encoder": {"blocks": [1, 1, 3]}},
        {"attention": {"layers": 2, "width": 16}},
        {"decoder": {"feedforward": 48}},
    ],
)
def test_a_grown_recogniser_computes_the_same(finished: Path, given: Any) -> None:
    folder = finished / "finetune"
    small = load_recogniser(folder).model.eval()
    grown = further(choice(**given), folder, WORDS, RENDER).model.eval()
    assert sum(p.numel() for p in grown.parameters()) > sum(p.numel() for p in small.parameters())
    for wanted, got in zip(outputs(small), outputs(grown), strict=True):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize("part", ["attention", "decoder"])
def test_a_layer_after_trained_ones_adds_nothing(part: str, tmp_path: Path) -> None:
    """Unlike the first layer over the cells, whose output is 0 as it starts."""

    def build(layers: int) -> Recogniser:
        sizes: dict[str, dict[str, Any]] = {
            "encoder": {"width": 16},
            "attention": {"layers": 1, "width": 16},
            "decoder": dict(DECODER),
        }
        sizes[part]["layers"] = layers
        return build_recogniser("mask-match", sizes, WORDS)

    small = build(1)
    with torch.no_grad():
        for parameter in small.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    grown = build(3)
    transplant(learnt(small), grown, tmp_path)
    for wanted, got in zip(outputs(small.eval()), outputs(grown.eval()), strict=True):
        torch.testing.assert_close(got, wanted)


def test_a_wider_vocabulary_keeps_what_is_known(finished: Path) -> None:
    folder, wide = finished / "finetune", chosen_vocabulary("wide", "plain")
    small = load_recogniser(folder).model.eval()
    grown = further(choice(), folder, wide, RENDER).model.eval()
    image = torch.zeros(1, 1, 64, 96)
    image[0, 0, 20:24, 10:80] = 1.0

    def scores(model: Recogniser, words: Vocabulary) -> torch.Tensor:
        with torch.no_grad():
            token = torch.tensor([words.encode(["x"])])
            logits = model.step(token, model.encode(image), ())[0]
        return logits[..., [0, 1, 2, *words.encode(WORDS.tokens)]]

    torch.testing.assert_close(scores(grown, wide), scores(small, WORDS))


def test_symbols_are_dropped_where_that_is_wanted(finished: Path) -> None:
    few = Vocabulary("wap", [token for token in WORDS.tokens if token != "!"])
    model = further(choice(), finished / "finetune", few, RENDER, drop=True).model
    stored = load_file(finished / "finetune" / "model.safetensors")
    rows = model.state_dict()["decoder.embed.weight"]
    assert torch.equal(rows[:3], stored["decoder.embed.weight"][:3])
    assert torch.equal(rows[3:], stored["decoder.embed.weight"][4:])


def test_growing_wider_leaves_old_channels_as_they_are(finished: Path) -> None:
    small = load_recogniser(finished / "finetune").model.eval()
    grown = further(
        choice(encoder={"width": 24}), finished / "finetune", WORDS, RENDER
    ).model.eval()
    image = torch.zeros(1, 1, 32, 64)
    image[0, 0, 10:13, 5:50] = 1.0
    with torch.no_grad():
        narrow, wide = small.encoder(image), grown.encoder(image)
    assert wide.shape[1] == 96
    torch.testing.assert_close(wide[:, :64], narrow)
    assert wide[:, 64:].any()


def test_another_scale_has_to_be_wanted(finished: Path) -> None:
    folder, other = finished / "finetune", RenderConfig(unit=12)
    with pytest.raises(HmerError, match=r"or finetune\.rescaled to true"):
        further(choice(), folder, WORDS, other)
    assert further(choice(), folder, WORDS, other, rescaled=True).digest
    with pytest.raises(HmerError, match=r"base\.render\.pen"):
        further(choice(), folder, WORDS, RenderConfig(unit=12, pen=0.2), rescaled=True)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({"attention": {"layers": 1}}, r"another attention\.layers than model\.attention"),
        ({"decoder": {"width": 32}}, r"another decoder\.width than"),
    ],
)
def test_a_state_of_another_recipe(finished: Path, given: Any, wanted: str) -> None:
    with pytest.raises(HmerError, match=wanted):
        further(choice(**given), finished / "finetune" / "resume", WORDS, RENDER)


def test_a_state_of_fewer_symbols_lends_its_average(finished: Path) -> None:
    resume = finished / "finetune" / "resume"
    wide = chosen_vocabulary("wide", "wap")
    start = further(choice(), resume, wide, RENDER)
    assert (start.state, bool(start.digest)) == (None, True)
    stored = torch.load(resume / "last.ckpt", weights_only=True)["state_dict"]
    rows = stored["average.module.decoder.embed.weight"][[*range(3), *WORDS.encode(WORDS.tokens)]]
    grown = start.model.state_dict()["decoder.embed.weight"]
    assert torch.equal(grown[[*range(3), *wide.encode(WORDS.tokens)]], rows)
    with pytest.raises(HmerError, match="symbols that the vocabulary of the captions lacks"):
        further(choice(), resume, vocabulary("comer"), RENDER)


def test_no_state(finished: Path, tmp_path: Path) -> None:
    for content in (
        b"",
        b"PK\x03\x04 damaged",
        (finished / "attend/resume/last.ckpt").read_bytes(),
    ):
        (tmp_path / "last.ckpt").write_bytes(content)
        with pytest.raises(HmerError, match=r"last\.ckpt is no training state of this version"):
            further(choice(), tmp_path, WORDS, RENDER)


PLATEAU = OptimisationConfig(
    steps=6, leg=2, learning_rate=1e-3, schedule="warmup-stable-decay", warmup=2,
    precision="32-true", workers=0,
)  # fmt: skip


def test_a_branch_from_a_state_is_the_training_that_never_stopped(
    train: Callable[..., dict[str, float]], tmp_path: Path
) -> None:
    """Four steps of the plateau and a branch of two more: as six with a decay of two."""
    whole = PLATEAU.model_copy(update={"decay": 2})
    # Masking would follow the progress, which depends on the number of steps.
    train("finetune", tmp_path / "whole", optimisation=whole, masked=0.0)
    stable = PLATEAU.model_copy(update={"steps": 4})
    train("finetune", tmp_path / "stable", optimisation=stable, masked=0.0)
    state = str(tmp_path / "stable" / "resume")
    changes = {"optimisation": whole, "masked": 0.0, "start": state, "model": {}}
    train("finetune", tmp_path / "branch", **changes)
    for name in ("model.safetensors", "curves.csv"):
        assert (tmp_path / "branch" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    rates = [row["learning_rate"] for row in curve(tmp_path / "branch")]
    assert rates == pytest.approx([1e-3, 1e-3, 0.0])


def test_a_state_goes_on_at_another_rate(
    train: Callable[..., dict[str, float]], tmp_path: Path
) -> None:
    train("finetune", tmp_path / "stable", optimisation=PLATEAU.model_copy(update={"steps": 4}))
    slower = PLATEAU.model_copy(update={"learning_rate": 1e-4})
    state = str(tmp_path / "stable" / "resume")
    train("finetune", tmp_path / "on", optimisation=slower, start=state, model={})
    assert [row["learning_rate"] for row in curve(tmp_path / "on")] == pytest.approx(
        [1e-3, 1e-3, 1e-4]
    )


def curve(folder: Path) -> list[dict[str, float]]:
    with (folder / "curves.csv").open() as file:
        return [{k: float(v) for k, v in row.items() if v} for row in csv.DictReader(file)]


def test_no_recogniser(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(HmerError, match=r"finetune\.start: .*none.*no model there"):
        further(choice(), tmp_path / "none", WORDS, RENDER)
    with pytest.raises(HmerError, match=r"finetune\.start: .*no model there"):
        further(choice(), finished / "attend", WORDS, RENDER)


def test_a_training_goes_on(
    train: Callable[..., dict[str, float]], finished: Path, tmp_path: Path
) -> None:
    start = tmp_path / "start"
    shutil.copytree(finished / "finetune", start)
    told = json.loads((start / "model.json").read_text())
    fitted = {"scale": 0.7, "slope": 2.0, "length": 0.4, "rivals": 0.0}
    (start / "model.json").write_text(json.dumps({**told, "calibration": fitted}))
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
    assert about[1]["calibration"] == fitted  # that of its start is far better than none
