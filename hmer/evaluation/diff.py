"""Truth and prediction side by side, with the tokens that differ marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rapidfuzz.distance import Levenshtein


class Marked(NamedTuple):
    """A token, and whether the other side has it too."""

    token: str
    same: bool


def mark(truth: Sequence[str], read: Sequence[str]) -> tuple[list[Marked], list[Marked]]:
    """Both sides with the tokens marked that a shortest edit script keeps."""
    kept_truth, kept_read = set[int](), set[int]()
    for block in Levenshtein.opcodes(truth, read):
        if block.tag == "equal":
            kept_truth.update(range(block.src_start, block.src_end))
            kept_read.update(range(block.dest_start, block.dest_end))
    return (
        [Marked(token, index in kept_truth) for index, token in enumerate(truth)],
        [Marked(token, index in kept_read) for index, token in enumerate(read)],
    )
