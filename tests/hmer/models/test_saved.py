"""A trained recogniser on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from hmer.errors import HmerError
from hmer.models.saved import load_recogniser, weights_file


def test_a_folder_and_its_file_are_the_same(model_folder: Path) -> None:
    file = model_folder / "model.safetensors"
    assert weights_file(model_folder) == weights_file(file) == file
    about = json.loads((model_folder / "model.json").read_text())
    stored = load_file(file)
    for path in (model_folder, file):
        found = load_recogniser(path)
        assert (found.name, found.digest) == (about["name"], about["sha256"])
        assert list(found.vocabulary.tokens) == about["vocabulary"]["tokens"]
        assert found.render.model_dump() == about["render"]
        state = found.model.state_dict()
        assert all(torch.equal(state[name], value) for name, value in stored.items())


def test_what_is_no_recogniser(own_model: Path, tmp_path: Path) -> None:
    with pytest.raises(HmerError, match=r"none/?.*no model there"):
        load_recogniser(tmp_path / "none")
    file = own_model / "model.json"
    about = json.loads(file.read_text())
    for changed, wanted in (
        ({"kind": "encoder"}, "is not a recogniser but: encoder"),
        ({"name": "wap"}, "no recogniser named 'wap'"),
        ({"render": {"unit": 1}}, r"unit.*greater than"),
        ({"vocabulary": None}, "train the model again|not"),
    ):
        file.write_text(json.dumps({**about, **changed}))
        with pytest.raises(HmerError, match=wanted):
            load_recogniser(own_model)
    file.write_text(json.dumps({k: v for k, v in about.items() if k != "config"}))
    with pytest.raises(HmerError, match="no 'config'"):
        load_recogniser(own_model)
