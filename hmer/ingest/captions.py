"""Captions of elsewhere, for the synthesiser to write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from hmer.errors import HmerError, LatexError
from hmer.ingest.archive import read_lines
from hmer.latex.dialect import canonical, normalise
from hmer.latex.vocabulary import Vocabulary


def outer_captions(
    paths: Iterable[str], vocabulary: Vocabulary
) -> tuple[list[str], dict[str, dict[str, int]]]:
    """The captions of files with one expression a line, spelled as the vocabulary has them.

    Returns:
        Captions, each once, tokens apart, in order of appearance; and by file how many were taken,
        and left out for what reason.

    Raises:
        HmerError: a file cannot be read, or none of its captions can be written.
    """
    captions: dict[str, None] = {}
    counts: dict[str, dict[str, int]] = {}
    for path in paths:
        count: Counter[str] = Counter()
        unknown: Counter[str] = Counter()
        for line in read_lines(Path(path), "ingest.captions"):
            if not line.strip() or line.lstrip().startswith("%"):
                continue
            try:
                tokens = canonical(normalise(line))
            except LatexError:
                count["not readable"] += 1
                continue
            if missing := vocabulary.unknown(tokens):
                count["with tokens that the vocabulary lacks"] += 1
                unknown.update(missing)
            elif (caption := " ".join(tokens)) in captions:
                count["there already"] += 1
            else:
                captions[caption] = None
                count["taken"] += 1
        if not count["taken"] and not count["there already"]:
            lacking = ", ".join(f"{token} ({n})" for token, n in unknown.most_common(10))
            raise HmerError(
                f"ingest.captions: {path} has no caption that can be written"
                + (
                    f": the vocabulary lacks {lacking}"
                    if lacking
                    else "; give it LaTeX, one a line"
                )
            )
        counts[Path(path).name] = dict(sorted(count.items()))
    return list(captions), counts
