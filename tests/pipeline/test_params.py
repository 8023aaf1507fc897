from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from hmer.errors import HmerError
from pipeline.params import did_you_mean, leaves, load_section, lookup, read_yaml


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


@pytest.mark.parametrize(
    "text",
    [
        "train: {a: 1",
        "train: {a: 1}\ntrain: {a: 2}",
        "- 1",
        "\x00",
        "train: 2020-13-45",
        "train: " + "1" * 5000,
        "train: !!float x",
        "train: !!python/object:os.system x",
        "train: " + "[" * 1000 + "]" * 1000,
        "? " * 20_000,
        "train: " + "{a: " * 80 + "1" + "}" * 80,
        "train: &a [*a]",
        "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"{y}: &{y} [{','.join([f'*{x}'] * 10)}]\n" for x, y in pairwise("abcdefghi")),
    ],
)
def test_what_is_not_a_parameter_file(tmp_path: Path, text: str) -> None:
    assert complaint(tmp_path, text).startswith("params.yaml")


def test_a_number_beyond_writing_is_told(tmp_path: Path) -> None:
    told = complaint(tmp_path, "train: {name: a, rate: 0x" + "f" * 5000 + "}")
    assert "train.rate = a number of thousands of digits" in told
    assert len(complaint(tmp_path, "train: {name: a, rate: " + "x" * 5000 + "}")) < 300


def test_a_section_is_not_repeated_whole(tmp_path: Path) -> None:
    told = complaint(tmp_path, "train: {name: {a: {b: 1}}}")
    assert told == "params.yaml: train.name: input should be a valid string"


def test_what_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").mkdir()
    with pytest.raises(HmerError, match=r"params\.yaml cannot be read \(Is a directory\)"):
        read_yaml(tmp_path / "params.yaml")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)
CHARACTERS = st.text(st.sampled_from("train: {}[]-?!&*#|>'\"%@\n\t 0129.e+_xoZ\0"), max_size=60)


@given(CHARACTERS | CHARACTERS.map("train: ".__add__) | VALUES.map("train: {}".format))
def test_any_text_is_parameters_or_one_line(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        load_section(path, "train", Config)
    except HmerError as error:
        assert "\n" not in str(error) and "fuzzed.yaml" in str(error)


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


def test_a_hint_says_nothing_rather_than_nonsense() -> None:
    meant = did_you_mean("learning_rat", ["steps", "learning_rate"], "a.")
    assert meant == "; did you mean a.learning_rate?"
    assert did_you_mean("xyz", ["steps", "learning_rate"]) == ""
