"""Taking a part of a folder or package that stands for the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from hmer.data.archive import Member, Suffix, count_members, read_members


def spread(
    path: Path,
    suffix: Suffix,
    parameter: str,
    limit: int | None,
    wanted: Callable[[Member], bool] | None = None,
) -> Iterator[Member]:
    """All members, or `limit` of them at even distances: the first alone would be one writer's.

    Args:
        path, suffix, parameter: as for `read_members`.
        limit: how many; None: all.
        wanted: which of the members to take, by their content; None: all.

    Raises:
        ArchiveError: as `read_members`.
    """

    def members() -> Iterator[Member]:
        return filter(wanted or (lambda member: True), read_members(path, suffix, parameter))

    if limit is None:
        yield from members()
        return
    count = None if wanted else count_members(path, suffix)
    if count is None:
        count = sum(1 for _ in members())
    share = min(limit, count)
    for number, member in enumerate(members()):
        if (number + 1) * share // count > number * share // count:
            yield member
