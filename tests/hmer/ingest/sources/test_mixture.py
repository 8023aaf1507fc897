import pickle
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hmer.ingest.sources.base import Rejected, Source, SourceItem, Task
from hmer.ingest.sources.mixture import Mixed
from hmer.ink.strokes import Ink


@dataclass(frozen=True)
class Make:
    name: str
    number: int

    @property
    def key(self) -> str:
        return str(self.number)

    @property
    def split(self) -> str | None:
        return ("val", "test-a", "train", None)[self.number % 4]

    def __call__(self) -> SourceItem | Rejected:
        if self.number % 7 == 0:
            return Rejected(self.key, "f", "torn", self.split)
        ink = Ink((np.zeros((2, 2), np.float32),))
        return SourceItem(self.key, self.name, "w", "x", split=self.split, ink=ink)


class A(Source):
    name = "a"

    @property
    def total(self) -> int:
        return 401

    def items(self, seed: int) -> Iterator[SourceItem | Rejected | Task]:
        yield Rejected("r", "f", "gone")
        for number in range(400):
            yield Make(self.name, number)


class B(A):
    name = "b"


def walk(one: float, other: float) -> tuple[Mixed, list[SourceItem | Rejected]]:
    mixed = Mixed(parts=((A(), one), (B(), other)))
    return mixed, [pickle.loads(pickle.dumps(task))() for task in mixed.items(0)]


def test_ids_are_unique_by_their_source() -> None:
    mixed, found = walk(1, 1)
    assert len(found) == len({item.id for item in found}) == 802
    assert found[0] == Rejected("a/r", "f", "gone")
    assert {item.id.split("/")[0] for item in found} == {"a", "b"}
    assert mixed.total == 802 and not mixed.left_out


def test_weights_draw_from_training_alone() -> None:
    _, whole = walk(1, 1)
    mixed, found = walk(1, 0.25)
    _, more = walk(1, 0.5)
    assert [i.id for i in found if i.id[0] == "a"] == [i.id for i in whole if i.id[0] == "a"]
    held_out = [i.id for i in whole if i.split in ("val", "test-a")]
    assert [i.id for i in found if i.split in ("val", "test-a")] == held_out
    taken = [i for i in found if i.id[0] == "b" and i.split in ("train", None)]
    assert len(taken) - 1 + mixed.left_out["b"] == 200
    assert 25 < len(taken) < 80
    assert {i.id for i in found} < {i.id for i in more}
    assert mixed.total is None
    again = list(mixed.items(0))
    assert len(again) == len(found)
