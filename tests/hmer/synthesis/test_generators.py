from __future__ import annotations

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from hmer.data.dataset import Expressions, load_expressions
from hmer.errors import HmerError
from hmer.synthesis.base import Leakage, Written
from hmer.synthesis.generators import Generators, GeneratorsConfig
from hmer.synthesis.glyphs.bank import Cutting, GlyphBank
from hmer.synthesis.glyphs.cutting import cut_bank, read_training_inks

ALL = GeneratorsConfig(decompose=1, recombine=1, compose=1)


@pytest.fixture(scope="module")
def train(small_dataset: Path) -> Expressions:
    return load_expressions(small_dataset / "train.parquet")


@pytest.fixture(scope="module")
def bank(small_dataset: Path) -> GlyphBank:
    return cut_bank(read_training_inks(small_dataset / "train.parquet"))


def some(generators: Generators, count: int) -> list[Written]:
    made = (generators(np.random.default_rng([3, number])) for number in range(count))
    return [written for written in made if written is not None]


def refuse() -> GlyphBank:
    raise AssertionError("a bank was asked for")


@pytest.mark.parametrize("name", ["decompose", "recombine", "compose"])
def test_one_alone(name: str, train: Expressions, bank: GlyphBank) -> None:
    config = GeneratorsConfig.model_validate({"decompose": 0, name: 2})
    generators = Generators(config, train, lambda: bank, Leakage())
    assert Counter(w.kind for w in some(generators, 30)).keys() == {name}


def test_a_bank_is_cut_only_where_it_is_needed(train: Expressions) -> None:
    generators = Generators(GeneratorsConfig(), train, refuse, Leakage())
    assert len(some(generators, 10)) == 10
    with pytest.raises(AssertionError):
        Generators(ALL, train, refuse, Leakage())


def test_expressions_say_where_they_come_from(train: Expressions, bank: GlyphBank) -> None:
    generators = pickle.loads(pickle.dumps(Generators(ALL, train, lambda: bank, Leakage())))
    for written in some(generators, 90):
        if written.kind == "compose":
            assert written.base is None and written.hand in bank.writers
        else:
            assert written.base is not None and not written.hand
        if written.kind == "decompose" and written.base is not None:
            assert " ".join(written.tokens) in " ".join(train.tokens[written.base])


def test_what_is_held_out_is_counted(train: Expressions, bank: GlyphBank) -> None:
    free = Generators(ALL, train, lambda: bank, Leakage())
    held = [w.tokens for w in some(free, 150) if len(w.tokens) > 3]
    generators = Generators(ALL, train, lambda: bank, Leakage.of(held))
    captions = {" ".join(written.tokens) for written in some(generators, 150)}
    assert not captions & {" ".join(tokens) for tokens in held}
    assert generators.leakage.excluded > 0 and free.leakage.excluded == 0


def test_the_font_steps_in_and_is_counted(train: Expressions, bank: GlyphBank) -> None:
    """A bank of one class: everything else is written in the vector font."""
    number = int(np.flatnonzero(bank.token_of == bank.tokens.index("x"))[0])
    poor = GlyphBank.pack([Cutting("x", "ann", bank.glyph(number))], {})
    config = GeneratorsConfig(decompose=0, compose=1)
    generators = Generators(config, train, lambda: poor, Leakage())
    assert len(some(generators, 30)) == 30
    missing = generators.from_font()
    assert missing and "x" not in missing and list(missing) == sorted(missing)
    assert generators.skipped is None


def test_nothing_to_do(train: Expressions) -> None:
    with pytest.raises(HmerError, match="all 0"):
        Generators(GeneratorsConfig(decompose=0), train, refuse, Leakage())
