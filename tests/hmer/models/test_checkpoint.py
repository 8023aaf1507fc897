"""Weights on disk, and everything that can be wrong with them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from torch import nn

from hmer.errors import HmerError
from hmer.models.about import read_about, weights_file
from hmer.models.checkpoint import (
    load_recogniser,
    load_weights,
    save_module,
)
from hmer.recognizer import Recognizer


def module(seed: int = 0, width: int = 3) -> nn.Module:
    torch.manual_seed(seed)
    made = nn.Sequential(nn.Linear(2, width), nn.BatchNorm1d(width))
    made(torch.randn(4, 2))  # statistics that are not the initial ones
    return made


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_module(module(), path, {"kind": "test", "größe": 3})
    return path


def refusal(path: Path, into: nn.Module | None = None) -> str:
    with pytest.raises(HmerError) as caught:
        load_weights(into or module(), path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_round_trip(saved: Path) -> None:
    fresh = module(seed=1)
    load_weights(fresh, saved)
    for name, value in module().state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value), name
    about = read_about(saved)
    assert {name: about[name] for name in ("kind", "größe")} == {"kind": "test", "größe": 3}


def test_the_same_weights_give_the_same_bytes(saved: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.safetensors"
    save_module(module(), again, {"größe": 3, "kind": "test"})
    assert again.read_bytes() == saved.read_bytes()
    assert again.with_suffix(".json").read_text() == saved.with_suffix(".json").read_text()


def test_shared_and_strided_tensors_are_saved(tmp_path: Path) -> None:
    made = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Conv2d(2, 2, 3))
    first, second, third = made
    assert isinstance(first, nn.Linear) and isinstance(third, nn.Conv2d)
    second.weight = first.weight
    third.weight.data = third.weight.data.contiguous(memory_format=torch.channels_last)
    save_module(made, tmp_path / "a.safetensors", {})
    fresh = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Conv2d(2, 2, 3))
    load_weights(fresh, tmp_path / "a.safetensors")
    for name, value in made.state_dict().items():
        assert torch.equal(fresh.state_dict()[name], value), name


def test_missing_weights(tmp_path: Path) -> None:
    assert refusal(tmp_path / "model.safetensors").startswith(f"{tmp_path / 'model.safetensors'}: ")


@pytest.mark.parametrize("cut", ["front", "middle", "end"])
def test_damaged_weights(saved: Path, cut: str) -> None:
    data = bytearray(saved.read_bytes())
    if cut == "end":
        data = data[:-3]
    else:
        data[0 if cut == "front" else len(data) - 9] ^= 1
    saved.write_bytes(data)
    message = refusal(saved)
    assert message.startswith(f"{saved}: ") and "damaged" in message


def test_not_weights_at_all(saved: Path) -> None:
    saved.write_bytes(b"a picture of a cat")
    saved.with_suffix(".json").write_text(
        json.dumps({"sha256": hashlib.sha256(saved.read_bytes()).hexdigest()})
    )
    assert refusal(saved).startswith(f"{saved}: ")


@pytest.mark.parametrize(
    "other", [lambda: module(width=4), lambda: nn.Linear(2, 3), lambda: nn.Sequential(module())]
)
def test_another_architecture(saved: Path, other: type[nn.Module]) -> None:
    message = refusal(saved, other())
    assert message.startswith(f"{saved}: weights of another architecture")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers(tmp_path: Path, value: float) -> None:
    broken = module()
    with torch.no_grad():
        next(broken.parameters())[0, 0] = value
    path = tmp_path / "model.safetensors"
    save_module(broken, path, {})
    message = refusal(path)
    assert message.startswith(f"{path}: ") and "finite" in message and "0.weight" in message


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "missing"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid"),
        (b"[]", "object"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"x": ' + b"1" * 5000 + b"}", "not valid JSON"),
    ],
)
def test_what_is_wrong_with_the_description(
    saved: Path, content: bytes | None, reason: str
) -> None:
    sidecar = saved.with_suffix(".json")
    if content is None:
        sidecar.unlink()
    else:
        sidecar.write_bytes(content)
    message = refusal(saved)
    assert message.startswith(f"{sidecar}: ") and reason in message


def test_what_stands_in_the_place_of_a_file(saved: Path) -> None:
    sidecar = saved.with_suffix(".json")
    sidecar.unlink()
    sidecar.mkdir()
    assert refusal(saved) == f"{sidecar}: cannot be read (Is a directory)"
    sidecar.rmdir()
    sidecar.symlink_to(sidecar)
    assert f"{sidecar}: cannot be read" in refusal(saved)
    assert "File name too long" in refusal(saved.parent / ("x" * 5000))


def test_weights_of_a_kind_that_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_module(module(), path, {})
    state = {name: value.to(torch.float8_e4m3fn) for name, value in load_file(path).items()}
    save_file(state, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps({"sha256": digest}))
    message = refusal(path)
    assert message.startswith(f"{path}: ") and "Float8" in message


@pytest.mark.parametrize("origin", ["3", "null", '"kind"', "[" * 5000, "{"])
def test_an_origin_that_is_none(tmp_path: Path, origin: str) -> None:
    path = tmp_path / "model.safetensors"
    save_file(module().state_dict(), path, {"origin": origin})
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_suffix(".json").write_text(json.dumps({"sha256": digest, "kind": "test"}))
    load_weights(module(), path)


@given(st.data())
def test_damaged_files_are_loaded_or_told(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """With a digest that is right, so that the damage goes as deep as it can."""
    path = tmp_path_factory.mktemp("damaged") / "model.safetensors"
    save_module(module(), path, {"kind": "test"})
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))] or content)
    about = {**read_about(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    path.with_suffix(".json").write_text(json.dumps(about))
    try:
        load_weights(module(), path)
    except HmerError as error:
        assert str(path) in str(error) and "\n" not in str(error)


def test_a_folder_and_its_file_are_the_same(model_folder: Path) -> None:
    file = model_folder / "model.safetensors"
    assert weights_file(model_folder) == weights_file(file) == file
    about = json.loads((model_folder / "model.json").read_text())
    stored = load_file(file)
    for path in (model_folder, file):
        found = load_recogniser(path)
        assert (found.name, found.digest) == (about["name"], about["sha256"])
        assert list(found.reads.vocabulary.tokens) == about["vocabulary"]["tokens"]
        assert found.reads.render.model_dump() == about["render"]
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
        ({"calibration": {"scale": 0}}, "a scale and a slope, both above 0"),
        ({"unwritten": ["\\zzz"]}, "unwritten lists tokens of the vocabulary"),
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
