"""Recognisers by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from hmer.errors import HmerError
from hmer.ink.render import RenderConfig
from hmer.latex.vocabulary import vocabulary
from hmer.models.checkpoint import save_module
from hmer.models.common.densenet import DenseNetConfig
from hmer.models.common.encoders import CompactConfig
from hmer.models.common.grid import CoMERConfig
from hmer.models.mask_match import MaskMatch, MaskMatchConfig
from hmer.models.registry import (
    RECOGNISERS,
    ModelConfig,
    build_recogniser,
    listing,
)
from hmer.recognizer import Recognizer

WORDS = vocabulary("wap")
TINY = {
    "encoder": {"width": 8, "blocks": [1]},
    "decoder": {"layers": 1, "width": 16, "heads": 1, "feedforward": 16},
}


def test_builds_what_is_described() -> None:
    made = build_recogniser("mask-match", TINY, WORDS)
    assert isinstance(made, MaskMatch)
    assert (made.encoder.channels, made.stride) == (8, 2)
    assert made.decoder.head.out_features == made.symbol_head.out_features == len(WORDS)
    # What a configuration says of itself is enough to build the same again.
    again = build_recogniser("mask-match", made.config.model_dump(mode="json"), WORDS)
    assert [p.shape for p in again.parameters()] == [p.shape for p in made.parameters()]


def test_refuses() -> None:
    with pytest.raises(HmerError, match=r"'densewap'.*mask-match"):
        build_recogniser("densewap", TINY, WORDS)
    with pytest.raises(ValidationError, match="dekoder"):
        build_recogniser("mask-match", {"dekoder": {}}, WORDS)


SMALL = {"encoder": {"name": "compact", "width": 8, "blocks": [1, 1]}}


def saved(name: str, folder: Path) -> Path:
    """A recogniser of that name with fresh weights, on disk."""
    torch.manual_seed(0)
    model = build_recogniser(name, SMALL, WORDS)
    folder.mkdir()
    about = {
        "kind": "recogniser",
        "name": name,
        "config": model.config.model_dump(mode="json"),
        "render": RenderConfig().model_dump(mode="json"),
        "vocabulary": json.loads(WORDS.to_json()),
    }
    save_module(model, folder / "model.safetensors", about)
    return folder


def test_weights_of_another_recogniser_or_vocabulary(tmp_path: Path) -> None:
    bttr, comer = saved("bttr", tmp_path / "bttr"), saved("comer", tmp_path / "comer")
    shutil.copy(comer / "model.safetensors", bttr)
    with pytest.raises(HmerError, match=r"another recogniser \(comer\).*describes \(bttr\)"):
        Recognizer.load(bttr)
    about = json.loads((comer / "model.json").read_text())
    about["vocabulary"] = json.loads(vocabulary("comer").to_json())
    (comer / "model.json").write_text(json.dumps(about))
    with pytest.raises(HmerError, match=r"another vocabulary .*'wap' of 110.*'comer' of 110"):
        Recognizer.load(comer)


def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    folder = saved("comer", tmp_path / "comer")
    model = Recognizer.load(folder).model
    with torch.no_grad():
        next(model.encoder.parameters()).fill_(torch.nan)
    about = json.loads((folder / "model.json").read_text())
    save_module(model, folder / "model.safetensors", about)
    with pytest.raises(HmerError, match=r"not finite numbers, e\.g\. encoder"):
        Recognizer.load(folder)


def test_a_name_alone_is_the_published_system() -> None:
    assert ModelConfig().settings == MaskMatchConfig()
    comer = ModelConfig.model_validate({"name": "comer"}).settings
    assert comer == CoMERConfig()
    assert CoMERConfig().encoder == DenseNetConfig()


def test_parts_are_set_one_by_one() -> None:
    chosen = ModelConfig.model_validate(
        {"name": "comer", "encoder": {"name": "compact", "width": 8}, "decoder": {"layers": 2}}
    )
    settings = chosen.settings
    assert isinstance(settings, CoMERConfig)
    assert settings.encoder == CompactConfig(width=8)
    assert (settings.decoder.layers, settings.decoder.width) == (2, 256)
    other = chosen.with_parts({"encoder": CompactConfig(width=12)})
    assert isinstance(other, CoMERConfig)
    assert other.encoder == CompactConfig(width=12) and other.decoder == settings.decoder
    assert ModelConfig.model_validate(chosen.model_dump()) == chosen


@pytest.mark.parametrize(
    ("given", "place", "message"),
    [
        ({"name": "comet"}, ("name",), "choose one of mask-match, .*comer"),
        ({"dekoder": {}}, ("dekoder",), "mask-match has no such parameter, but: encoder"),
        ({"name": "comer", "symbol_weight": 1}, ("symbol_weight",), "comer has no such"),
        ({"name": "comer", "decoder": {"layers": 0}}, ("decoder", "layers"), "greater than"),
        ({"name": "bttr", "encoder": {"name": "vit"}}, ("encoder",), "compact or name: densenet"),
    ],
)
def test_mistakes_are_told_with_their_place(
    given: dict[str, Any], place: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ValidationError, match=message) as caught:
        ModelConfig.model_validate(given)
    assert [error["loc"] for error in caught.value.errors()] == [place]


FIELD = {
    # Millions of weights in training and when reading, classes.
    "bttr": (6.375, 6.375, 113),
    "comer": (6.389, 6.389, 113),
    "hmer-mtl": (6.420, 6.391, 114),
    "posformer": (9.632, 6.389, 113),
    "ical": (7.369, 7.311, 114),
}


def test_sizes_are_the_fields() -> None:
    found = {one.name: one for one in listing()}
    assert list(found) == list(RECOGNISERS)
    for name, (training, inference, classes) in FIELD.items():
        assert found[name].parameters / 1e6 == pytest.approx(training, abs=6e-4)
        assert found[name].inference / 1e6 == pytest.approx(inference, abs=6e-4)
        assert found[name].vocabulary == classes
        assert (found[name].encoder, found[name].stride) == ("densenet", 16)
    assert (found["mask-match"].encoder, found["mask-match"].stride) == ("compact", 8)
    assert all(one.description.endswith(".") for one in found.values())
