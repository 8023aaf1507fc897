from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, Field

from hmer.errors import HmerError
from pipeline.sections import closest, leaves, load_section, lookup, read_yaml


class Inner(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    steps: int = Field(default=10, gt=0, le=100)


class Config(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    rate: float = Field(default=0.1, ge=0, le=1)
    seed: int = 0
    name: str
    inner: Inner = Inner()


def load(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "params.yaml"
    path.write_text(text)
    return load_section(path, "train", Config)


def complaint(tmp_path: Path, text: str) -> str:
    with pytest.raises(HmerError) as caught:
        load(tmp_path, text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_section_with_what_it_inherits(tmp_path: Path) -> None:
    found = load(tmp_path, "base: {seed: 7, other: 1}\ntrain: {name: a, rate: 1e-3}")
    assert (found.seed, found.rate, found.inner.steps) == (7, 0.001, 10)


def test_its_own_value_wins_over_the_shared_one(tmp_path: Path) -> None:
    assert load(tmp_path, "base: {seed: 7}\ntrain: {name: a, seed: 3}").seed == 3


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (
            "train: {name: a, raet: 1}",
            "params.yaml: train.raet is not a parameter; did you mean train.rate?",
        ),
        (
            "train: {name: a, inner: {step: 1}}",
            "params.yaml: train.inner.step is not a parameter; did you mean train.inner.steps?",
        ),
        (
            "train: {name: a, zzzzzz: 1}",
            "params.yaml: train.zzzzzz is not a parameter (known: rate, seed, name, inner)",
        ),
        (
            "train: {name: a, rate: 3}",
            "params.yaml: train.rate = 3: input should be less than or equal to 1",
        ),
        ("train: {}", "params.yaml: train.name is missing"),
        ("other: {}", "params.yaml has no section 'train'"),
    ],
)
def test_mistakes_are_told_in_one_line(tmp_path: Path, text: str, wanted: str) -> None:
    assert complaint(tmp_path, text) == wanted


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    told = complaint(tmp_path, "train: {rate: -1, inner: {steps: 0}}")
    assert all(key in told for key in ("train.rate = -1", "train.name", "train.inner.steps = 0"))


@pytest.mark.parametrize("text", ["train: {a: 1", "train: {a: 1}\ntrain: {a: 2}", "- 1", "\x00"])
def test_what_is_not_a_parameter_file(tmp_path: Path, text: str) -> None:
    assert complaint(tmp_path, text).startswith("params.yaml")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HmerError, match=r"params\.yaml is missing"):
        read_yaml(tmp_path / "params.yaml")


def test_lookup_and_leaves_agree() -> None:
    values = {"a": {"b": 1, "c": {"d": [2]}}, "e": None}
    found = dict(leaves(values))
    assert found == {"a.b": 1, "a.c.d": [2], "e": None}
    assert all(lookup(values, key) == value for key, value in found.items())
    with pytest.raises(KeyError):
        lookup(values, "a.b.c")


def test_closest_says_nothing_rather_than_nonsense() -> None:
    assert closest("learning_rat", ["steps", "learning_rate"]) == "learning_rate"
    assert closest("xyz", ["steps", "learning_rate"]) is None
