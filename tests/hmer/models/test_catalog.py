"""Recognisers by name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from hmer.decoding.bidirectional import DecodingConfig
from hmer.errors import HmerError
from hmer.ink.render import RenderConfig
from hmer.latex.vocabulary import vocabulary
from hmer.models.catalog import RECOGNISERS, build_recogniser
from hmer.models.mask_match import MaskMatch
from hmer.models.store import save_module
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


@pytest.mark.parametrize("name", RECOGNISERS)
def test_every_recogniser_is_saved_loaded_and_reads(name: str, tmp_path: Path) -> None:
    recognizer = Recognizer.load(saved(name, tmp_path / name))
    model = recognizer.model
    assert type(model) is type(build_recogniser(name, SMALL, WORDS)) and not model.training
    image = np.zeros((24, 40), np.uint8)
    image[4:20, 8:30] = 255
    decoding = DecodingConfig(beam=2, max_length=4)
    blank, found = recognizer.read([np.zeros((20, 30), np.uint8), image], decoding, attention=True)
    assert (blank.tokens, blank.alternatives) == ((), ())
    assert 0 <= found.confidence <= 1 and found.alternatives
    assert found.attention is not None and np.isfinite(found.attention).all()
    assert found.attention.shape == (len(found.tokens) + 1, 6, 10)


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
