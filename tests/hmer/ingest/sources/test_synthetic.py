import pickle

import numpy as np
import pytest

from hmer.errors import HmerError
from hmer.ingest.sources.synthetic import TEST_SPLIT, Synthetic, SyntheticTask
from hmer.latex.tree import parse
from hmer.synthesis.grammar.grammar import GrammarConfig

SMALL = Synthetic(train=400, val=60, test=50, train_writers=20, val_writers=5, test_writers=4)


def walk(source: Synthetic = SMALL, seed: int = 1) -> list[SyntheticTask]:
    return list(source.items(seed))


def test_counts_and_order() -> None:
    tasks = walk()
    assert len(tasks) == SMALL.total == 510
    splits = [task.split for task in tasks]
    assert splits == ["train"] * 400 + ["val"] * 60 + [TEST_SPLIT] * 50
    assert len({task().id for task in tasks[-70:]}) == 70


def test_an_item_is_complete() -> None:
    for task in walk()[::25]:
        item = task()
        assert item.tokens is not None and item.latex == " ".join(item.tokens)
        assert parse(list(item.tokens)) == task.row
        assert item.ink is not None and len(item.ink.strokes) > 0
        written = [symbol.token for symbol in item.ink.symbols]
        hidden = {"^", "_", "{", "}", r"\limits"}
        spelled = [token for token in item.tokens if token not in hidden]
        if r"\sqrt" in spelled:  # the brackets of a root index are structure
            spelled = [token for token in spelled if token not in "[]"]
        assert sorted(written) == sorted(spelled)


def test_hands_and_expressions_of_the_splits_are_disjoint() -> None:
    tasks = walk()
    parts = {name: [t for t in tasks if t.split == name] for name in ("train", "val", TEST_SPLIT)}
    hands = [{task.writer for task in part} for part in parts.values()]
    rows = [{task.row for task in part} for part in parts.values()]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert not hands[one] & hands[other]
        assert not rows[one] & rows[other]
    assert [len(part) for part in hands] == [20, 5, 4]


def test_exclusions_are_counted() -> None:
    walk()
    assert set(SMALL.excluded) == {"val", TEST_SPLIT}
    assert sum(SMALL.excluded.values()) > 0, "short expressions do repeat"


def test_the_same_seed_gives_the_same_ink_also_from_another_process() -> None:
    for task in walk()[::50]:
        here, there = task(), pickle.loads(pickle.dumps(task))()
        assert here.ink is not None and there.ink is not None
        assert here.id == there.id and here.ink.symbols == there.ink.symbols
        pairs = zip(here.ink.strokes, there.ink.strokes, strict=True)
        assert all(np.array_equal(a, b) for a, b in pairs)
    assert walk(seed=1) == walk(seed=1) != walk(seed=2)


def test_training_items_do_not_depend_on_the_counts() -> None:
    more = SMALL.model_copy(update={"train": 500, "val": 10})
    assert walk()[:400] == walk(more)[:400]


def test_too_narrow_a_grammar_is_said() -> None:
    narrow = Synthetic(
        train=300, val=30, test=0, grammar=GrammarConfig(min_tokens=1, max_tokens=1, max_depth=0)
    )
    with pytest.raises(HmerError, match="max_tokens"):
        walk(narrow)
