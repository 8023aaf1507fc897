"""Taking a part of a folder or package that stands for the whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hmer.data.archive import Member, Suffix, count_members, read_members


def spread(path: Path, suffix: Suffix, parameter: str, limit: int | None) -> Iterator[Member]:
    """All members, or `limit` of them at even distances: the first alone would be one writer's.

    Raises:
        ArchiveError: as `read_members`.
    """
    if limit is None:
        yield from read_members(path, suffix, parameter)
        return
    count = count_members(path, suffix)
    if count is None:
        count = sum(1 for _ in read_members(path, suffix, parameter))
    share = min(limit, count)
    for number, member in enumerate(read_members(path, suffix, parameter)):
        if (number + 1) * share // count > number * share // count:
            yield member
