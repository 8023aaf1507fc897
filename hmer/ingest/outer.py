"""Isolated symbols and captions of other collections to write with, and tests of what is held out.

Real expressions have the symbols of their data set alone. Whatever else a vocabulary has is written
in isolated symbols of other collections, and tested on hands and captions that training never had.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from hmer.data.schema import SCHEMA, Sample, row_writer, sample_row
from hmer.errors import HmerError, LatexError
from hmer.ingest.archive import read_lines
from hmer.ingest.convert import Converter
from hmer.ingest.glyphs import GlyphsConfig, gather, is_held_out
from hmer.ingest.sources.base import SourceItem
from hmer.ingest.summary import SUMMARY
from hmer.ink.strokes import Ink
from hmer.latex.dialect import canonical, normalise
from hmer.latex.tree import Row, parse
from hmer.latex.vocabulary import Vocabulary
from hmer.synthesis.base import CAPTIONS, ISOLATED, OUTER, numbered
from hmer.synthesis.compose import Composer, Listed
from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.glyphs.foreign import sized, tokens_of
from hmer.synthesis.render_latex import check_writable


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


TESTS = ("test-isolated", "test-composed")
"""Sets of symbols, and of captions written in symbols, that were held out."""

_COMPOSED = 500  # expressions of the latter


def add_outer(
    glyphs: GlyphsConfig,
    captions: Iterable[str],
    words: Vocabulary,
    converter: Converter,
    seed: int,
    folder: Path,
    held_out: set[tuple[str, ...]],
) -> None:
    """Write the folder `outer`, always with an account of it, and the tests, if any are wanted.

    Args:
        glyphs: the collections, and which share of their hands is held out (of captions, too).
        captions: files of LaTeX, one expression a line.
        words: vocabulary; what has other tokens is left out.
        converter: makes rows of ink.
        seed: decides which symbols and captions are taken where there are more.
        folder: of a data set whose splits are written.
        held_out: captions that no training may write; those of the tests are added.

    Raises:
        HmerError: a collection cannot be read, or has nothing of the vocabulary.
    """
    (folder / OUTER).mkdir()
    symbols: dict[str, dict[str, int]] = {}
    counts: dict[str, dict[str, int]] = {}
    tests: dict[str, dict[str, int]] = {}
    lines: list[str] = []
    unseen: GlyphBank | None = None
    if glyphs.paths():
        bank, unseen, symbols = gather(glyphs, words, seed)
        bank.save(folder / ISOLATED)
    share = glyphs.held_out if unseen is not None else 0.0
    if captions := list(captions):
        lines, counts = outer_captions(captions, words)
        kept = [line for line in lines if not is_held_out(line, share)]
        (folder / CAPTIONS).write_text("\n".join(kept) + "\n", encoding="utf-8")
    if unseen is not None:
        isolated, composed = TESTS
        tests[isolated] = _write(folder, isolated, _alone(unseen, isolated), converter)
        held_out |= {tuple(line.split()) for line in lines if is_held_out(line, share)}
        first = next(iter(counts.values()), {}).get("taken", 0)  # the other files' are not tested
        test = [line.split() for line in lines[:first] if is_held_out(line, share)]
        writable = [row for row in map(parse, test) if _can_be_written(row, unseen)]
        if writable:
            items = _composed(unseen, writable, seed, composed)
            tests[composed] = _write(folder, composed, items, converter) | {
                "captions": len(writable),
                "captions without glyphs": len(test) - len(writable),
            }
    about = json.dumps({"glyphs": symbols, "captions": counts, "tests": tests}, indent=2) + "\n"
    (folder / OUTER / SUMMARY).write_text(about, encoding="utf-8")


def _alone(bank: GlyphBank, split: str) -> Iterator[SourceItem]:
    """Every symbol of a bank as an expression of its own."""
    for sample in range(len(bank)):
        token = bank.tokens[int(bank.token_of[sample])]
        hand = int(bank.writer_of[sample])
        strokes = tuple(stroke.astype(np.float32) for stroke in bank.glyph(sample))
        yield SourceItem(
            id=f"{split}-{sample:05d}",
            source=bank.groups[hand],
            writer=bank.writers[hand],
            latex=token,
            tokens=tuple(tokens_of(token)),
            split=split,
            ink=Ink(strokes),
        )


def _can_be_written(row: Row, bank: GlyphBank) -> bool:
    try:
        check_writable(row, bank)
    except LatexError:
        return False
    return True


def _composed(bank: GlyphBank, rows: list[Row], seed: int, split: str) -> Iterator[SourceItem]:
    """Expressions of these captions in hands of the bank, symbols in the vector font's sizes."""
    lines = GlyphBank.pack(sized((), bank), bank.collections)
    composer = Composer(lines, Listed(rows))
    for number in range(_COMPOSED):
        found = numbered(composer, seed, number)
        yield SourceItem(
            id=f"{split}-{number:05d}",
            source="composed",
            writer=found.hand,
            latex=" ".join(found.tokens),
            tokens=tuple(found.tokens),
            split=split,
            ink=found.ink,
            normalised=True,
        )


def _write(
    folder: Path, name: str, items: Iterable[SourceItem], converter: Converter
) -> dict[str, int]:
    """Write a test set; ink that cannot be drawn (specks without a size) is left out.

    Returns:
        How many were written and left out.
    """
    counts: Counter[str] = Counter()
    with row_writer(folder / f"{name}.parquet", SCHEMA) as file:
        for item in items:
            result = converter(item).result
            if isinstance(result, Sample):
                file.add(sample_row(result))
                counts["taken"] += 1
            else:
                counts["cannot be drawn"] += 1
    return dict(sorted(counts.items()))
