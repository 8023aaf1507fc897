"""Source of expressions written by the generators of `hmer.synthesis`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from hmer.data.schema import Sample, read_samples
from hmer.errors import HmerError
from hmer.ingest.archive import check_path
from hmer.ingest.convert import Converter
from hmer.ingest.pool import ordered_map
from hmer.ingest.sources.base import TRAIN, Setting, SourceConfig, SourceItem
from hmer.ingest.sources.crohme import CrohmeConfig, CrohmeSource
from hmer.ink.codec import unpack
from hmer.ink.images import decode_png
from hmer.ink.render import RenderConfig
from hmer.ink.strokes import Ink
from hmer.synthesis.base import HELD_OUT, Leakage, Numbered
from hmer.synthesis.generators import Generators, GeneratorsConfig
from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.glyphs.cache import bank_of, split_file
from hmer.synthesis.glyphs.cutting import Sourced, cut_bank, read_training_inks
from hmer.synthesis.output import Origin

_SUMMARY = "summary.json"
_SMALL = RenderConfig(unit=4)  # the reader draws what it reads, and only the ink is wanted


@dataclass(frozen=True)
class TrainingInk:
    """The expressions of a training split that have ink.

    Attributes:
        items: ink, caption, writer and collection of each.
        refused: files that could not be read.
        bank: the glyphs cut from them; cut on the first call, or kept from an earlier time.
        held_out: captions of validation and test sets; None where nothing tells them.
        dialect: of the captions.
    """

    items: Sequence[Sourced]
    refused: int
    bank: Callable[[], GlyphBank]
    held_out: Leakage | None
    dialect: str

    @cached_property
    def tokens(self) -> Sequence[Sequence[str]]:
        """The captions."""
        return [item.tokens for item in self.items]

    def __len__(self) -> int:
        return len(self.items)

    def ink(self, index: int) -> Ink:
        """Normalised ink."""
        return self.items[index].ink


def read_material(path: Path, dialect: str = "wap", held_out: Path | None = None) -> TrainingInk:
    """Read a training split.

    Args:
        path: `train.parquet`, the folder of a data set, or a folder or package of InkML, all of
            which is taken for training.
        dialect: of captions that are read from InkML.
        held_out: file with the captions that must not be written; for Parquet the one beside it,
            if none is named.

    Raises:
        HmerError: there is no such thing, it is damaged or not for training, or nothing tells
            what is held out of a data set.
    """
    split = split_file(path)
    if split is None:
        return _from_inkml(path, dialect, held_out)
    items = list(read_training_inks(split))
    leakage = Leakage.read(held_out or split.parent / HELD_OUT)
    if not items:
        raise HmerError(f"{split}: no expression has ink; ingest a source with strokes")
    return TrainingInk(items, 0, lambda: bank_of(split), leakage, _dialect(split.parent))


def _dialect(folder: Path) -> str:
    """The dialect of a data set's captions, as its account has it."""
    try:
        about = json.loads((folder / _SUMMARY).read_text(encoding="utf-8"))
        return str(about["dialect"])
    except (OSError, ValueError, LookupError, TypeError):
        return "wap"


def _from_inkml(path: Path, dialect: str, held_out: Path | None) -> TrainingInk:
    check_path(path, "the training ink")
    leakage = None if held_out is None else Leakage.read(held_out)
    source = CrohmeSource(CrohmeConfig(train=str(path)))
    refused, items = 0, []
    for found in ordered_map(Converter(dialect, 0.0, _SMALL), source.items(0), 1):
        sample = found.result
        if isinstance(sample, Sample) and sample.ink is not None:
            ink = unpack(sample.ink)
            items.append(Sourced(ink, list(sample.tokens), sample.writer, sample.source))
        else:
            refused += 1
    if not items:
        raise HmerError(f"{path}: none of {refused} InkML files can be read; is it the right path?")
    return TrainingInk(items, refused, lambda: cut_bank(items)[0], leakage, dialect)


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
