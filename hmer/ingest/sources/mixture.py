"""Several sources as one, each with a weight."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from pydantic import PrivateAttr

from hmer.ingest.sources.base import Rejected, Source, SourceItem, Task, key_of, position, resolve


@dataclass(frozen=True, slots=True)
class Named:
    """An item of a source, its id prefixed with the source's name; a `Task`."""

    prefix: str
    item: SourceItem | Rejected | Task

    @property
    def key(self) -> str:
        """The item's key with the prefix."""
        return f"{self.prefix}/{key_of(self.item)}"

    @property
    def split(self) -> str | None:
        """The item's split."""
        return self.item.split

    @property
    def data(self) -> bytes | None:
        """What has to be sent to a worker, as far as it counts."""
        return getattr(self.item, "data", None)

    def __call__(self) -> SourceItem | Rejected:
        """The item under its longer name."""
        found = resolve(self.item)
        return replace(found, id=f"{self.prefix}/{found.id}")


class Mixed(Source):
    """The items of each source in turn.

    Of a source with a weight below 1 that share of the training expressions is taken, chosen by a
    hash of their names: a larger weight keeps everything that a smaller one has taken. Validation
    and test sets that a source brings along are taken whole.
    """

    name = "mixed"

    parts: tuple[tuple[Source, float], ...]
    _left_out: Counter[str] = PrivateAttr(default_factory=Counter)

    @property
    def total(self) -> int | None:
        """Unknown as soon as one source does not know, or is not taken whole."""
        totals = [source.total if weight == 1 else None for source, weight in self.parts]
        return None if None in totals else sum(total or 0 for total in totals)

    @property
    def left_out(self) -> dict[str, int]:
        """As of any source."""
        return dict(self._left_out)

    @property
    def excluded(self) -> dict[str, int]:
        """As of any source, with the source's name before the kind."""
        return {
            f"{source.name}/{kind}": count
            for source, _ in self.parts
            for kind, count in source.excluded.items()
        }

    def items(self, seed: int) -> Iterator[Named]:
        """Every source's items, with the same seed."""
        self._left_out = Counter()
        for source, weight in self.parts:
            for item in source.items(seed):
                named = Named(source.name, item)
                drawn = item.split in (None, "train") and not isinstance(item, Rejected)
                if drawn and position(named.key) >= weight:
                    self._left_out[source.name] += 1
                else:
                    yield named
