"""Many written expressions as a data set of their own: InkML files, and an account of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from hmer.synthesis.generators import Generators
from hmer.synthesis.numbered import Numbered
from hmer.synthesis.output.inkml import contradiction, to_inkml
from hmer.synthesis.output.package import new_package
from hmer.synthesis.written import Written

FOLDER = "written"
SUMMARY = f"{FOLDER}/summary.json"
"""Where the account lies in a package."""

FONT = "font"
"""Whose hand it is where the vector font writes."""


class CollectionSummary(BaseModel):
    """What was written, and what was not.

    Attributes:
        seed: with the number of an expression it decides what is written.
        expressions: files.
        by_generator: of these, by the generator that made them.
        captions: different ones.
        new_captions: those that the training split does not have.
        held_out: captions that must not be written; None if nothing told them.
        excluded: how often such a caption came up, by generator (see `Generators.excluded`).
        nothing: draws that came to nothing for other reasons, or for this one.
        contradictory: expressions that were left out, since the file said something else when it
            was read back, by reason.
        from_font: symbols that the glyph bank lacked, by token; the vector font wrote them.
        material: expressions of the training split that have ink.
        skipped: those whose symbols are unknown or contradict the caption; None where no
            generator takes expressions apart.
    """

    model_config = ConfigDict(frozen=True)

    seed: int
    expressions: int
    by_generator: dict[str, int]
    captions: int
    new_captions: int
    held_out: int | None
    excluded: dict[str, int]
    nothing: int
    contradictory: dict[str, int]
    from_font: dict[str, int]
    material: int
    skipped: int | None


@dataclass(frozen=True)
class Origin:
    """What the expressions are made of.

    Attributes:
        captions: of the training split.
        writers: of the same expressions.
        held_out: how many captions are held out; None if nothing tells.
    """

    captions: Sequence[Sequence[str]]
    writers: Sequence[str]
    held_out: int | None

    def writer_of(self, written: Written) -> str:
        """Whose hand an expression is in: that of the ink it began with, or whose glyphs it has."""
        return self.writers[written.base] if written.base is not None else written.hand or FONT


def write_collection(
    generators: Generators,
    origin: Origin,
    count: int,
    seed: int,
    out: Path,
    dialect: str = "wap",
    progress: Callable[[int], None] | None = None,
) -> CollectionSummary:
    """Write expressions 0 to `count - 1` into a folder or package, each checked by reading it.

    Args:
        generators: what writes.
        origin: what it is made of.
        count: how many.
        seed: decides, with its number, each of them.
        out: a folder, or a package whose name tells the kind (see `new_package`).
        dialect: of the captions.
        progress: is told how many are done.

    Raises:
        HmerError: `out` cannot be written, or the generators come to nothing.
    """
    numbered = Numbered(generators, seed)
    kinds: Counter[str] = Counter()
    wrong: Counter[str] = Counter()
    captions: set[str] = set()
    with new_package(out) as add:
        for number in range(count):
            written = numbered[number]
            name = f"{FOLDER}-{seed}-{number:07d}"
            data = to_inkml(written, origin.writer_of(written), name)
            problem = contradiction(data, written, dialect)
            if problem is None:
                add(f"{FOLDER}/{written.kind}/{name}.inkml", data)
                kinds[written.kind] += 1
                captions.add(" ".join(written.tokens))
            else:
                wrong[problem] += 1
            if progress is not None:
                progress(number + 1)
        summary = CollectionSummary(
            seed=seed,
            expressions=kinds.total(),
            by_generator=dict(sorted(kinds.items())),
            captions=len(captions),
            new_captions=len(captions - {" ".join(tokens) for tokens in origin.captions}),
            held_out=origin.held_out,
            excluded=generators.excluded(),
            nothing=numbered.nothing,
            contradictory=dict(sorted(wrong.items())),
            from_font=generators.from_font(),
            material=len(origin.captions),
            skipped=generators.skipped,
        )
        add(SUMMARY, (summary.model_dump_json(indent=2) + "\n").encode())
    return summary
