"""A trained recogniser on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from hmer.errors import HmerError
from hmer.models.about import weights_file
from hmer.models.saved import load_recogniser
from hmer.recognizer import Recognizer


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
        ({"kind": "encoder"}, "is not a recogniser but: 'encoder'"),
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


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in (tmp_path / "loop", tmp_path / ("x" * 5000)):
        with pytest.raises(HmerError) as caught:
            Recognizer.load(path)
        assert str(path) in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 70) | st.floats(-1e3, 1e3) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_a_description_of_any_kind_is_a_model_or_one_line(
    model_folder: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("changed")
    (folder / "model.safetensors").symlink_to(model_folder / "model.safetensors")
    about = json.loads((model_folder / "model.json").read_text())
    found, path = about, list[str]()
    while isinstance(found, dict) and found and (not path or data.draw(st.booleans())):
        path.append(data.draw(st.sampled_from(sorted(found))))
        owner, found = found, found[path[-1]]
    owner[path[-1]] = data.draw(JSON)
    (folder / "model.json").write_text(json.dumps(about))
    try:
        load_recogniser(folder)
    except HmerError as error:
        assert str(folder) in str(error) and "\n" not in str(error)
