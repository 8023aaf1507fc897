"""Expressions that the synthesiser writes, made of the training split of an earlier data set.

The training data of the new data set are decided by seed and number, whatever their count. Its
validation and test sets are the real ones of the earlier data set, or those of other sources in a
mixture; their captions are never written.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pydantic import Field

from hmer.data.schema import decode_png, read_samples
from hmer.data.sources.base import Setting, SourceConfig, SourceItem
from hmer.data.sources.material import read_material
from hmer.data.splits import TRAIN
from hmer.errors import HmerError
from hmer.ink.codec import unpack
from hmer.synthesis.generators import Generators, GeneratorsConfig
from hmer.synthesis.glyphs.cache import split_file
from hmer.synthesis.leakage import Leakage
from hmer.synthesis.numbered import Numbered
from hmer.synthesis.output.collection import Origin

Real = Literal["nothing", "held-out", "all"]


class WrittenConfig(SourceConfig):
    """What is written, of which data, and how much."""

    path: str = Field(
        default="data/raw/dataset/train.parquet",
        description="training split of an earlier data set, or InkML that is all for training",
    )
    held_out: str | None = Field(
        default=None,
        description="held_out.json with captions that must not be written; a data set has its own",
    )
    count: int = Field(default=8000, ge=0, description="expressions to write")
    real: Real = Field(
        default="held-out",
        description="what of the earlier data set comes along: nothing, its validation and test "
        "sets, or all",
    )
    generators: GeneratorsConfig = GeneratorsConfig(decompose=1.0, recombine=1.0, compose=1.0)

    def open(self, setting: Setting) -> WrittenSource:
        """The source of these expressions."""
        return WrittenSource(self, setting.dialect)

    def paths(self) -> Iterator[str]:
        """The training data, and what is held out."""
        yield self.path
        if self.held_out is not None:
            yield self.held_out


class WrittenSource:
    """The source named "written".

    Attributes:
        excluded: after a walk: how often a held-out caption came up, by generator.
        from_font: after a walk: symbols that the glyph bank lacked, by token.
        skipped: after a walk: training expressions whose symbols are unknown or contradict their
            caption, so that nothing could be made of their ink.
    """

    name = "written"

    def __init__(self, config: WrittenConfig, dialect: str = "wap") -> None:
        self.config = config
        self.dialect = dialect
        self.excluded: dict[str, int] = {}
        self.from_font: dict[str, int] = {}
        self.skipped = 0

    @property
    def total(self) -> int | None:
        """Number of items, if no real ones come along."""
        return self.config.count if self.config.real == "nothing" else None

    def items(self, seed: int) -> Iterator[SourceItem]:
        """The real expressions that come along, then the written ones.

        Raises:
            HmerError: the data cannot be read, have no symbols, or do not say what is held out.
        """
        path = Path(self.config.path)
        if self.config.real != "nothing":
            yield from self._real(path)
        held_out = None if self.config.held_out is None else Path(self.config.held_out)
        train = read_material(path, self.dialect, held_out)
        if train.dialect != self.dialect:
            raise HmerError(
                f"ingest.written.path: captions of {path} are in the dialect {train.dialect!r}; "
                f"set ingest.dialect to it, not to {self.dialect!r}"
            )
        leakage = train.held_out or Leakage()
        generators = Generators.of(self.config.generators, train, train.bank, leakage)
        origin = Origin(train.tokens, [item.writer for item in train.items], len(leakage))
        numbered = Numbered(generators, seed)
        for number in range(self.config.count):
            written = numbered[number]
            yield SourceItem(
                id=f"written-{seed}-{number:07d}",
                source=f"written-{written.kind}",
                writer=origin.writer_of(written),
                latex=" ".join(written.tokens),
                tokens=tuple(written.tokens),
                split=TRAIN,
                ink=written.ink,
                normalised=True,
            )
        self.excluded, self.from_font = generators.excluded(), generators.from_font()
        self.skipped = generators.skipped or 0

    def _real(self, path: Path) -> Iterator[SourceItem]:
        """Real expressions of the data set that `path` belongs to."""
        split = split_file(path)
        if split is None:
            raise HmerError(
                f"ingest.written.real: {path} is InkML, all of it training data; set it to nothing"
            )
        if not split.is_file():
            raise HmerError(f"ingest.written.path: {split}: no such data set split")
        for file in sorted(split.parent.glob("*.parquet")):
            held_out = file.stem == "val" or file.stem.startswith(("dev-", "test-"))
            if not held_out and not (self.config.real == "all" and file == split):
                continue
            for sample in read_samples(file):
                yield SourceItem(
                    id=sample.id,
                    source=sample.source,
                    writer=sample.writer,
                    latex=sample.latex,
                    tokens=sample.tokens,
                    split=sample.split,
                    ink=None if sample.ink is None else unpack(sample.ink),
                    normalised=True,
                    image=decode_png(sample.image) if sample.ink is None else None,
                )
