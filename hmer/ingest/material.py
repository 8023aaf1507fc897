"""Training ink for the generators of `hmer.synthesis`: of a data set, or of InkML."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from hmer.data.schema import Sample
from hmer.errors import HmerError
from hmer.ingest.archive import check_path
from hmer.ingest.convert import Converter
from hmer.ingest.pool import ordered_map
from hmer.ingest.sources.crohme import Crohme
from hmer.ingest.summary import SUMMARY
from hmer.ink.codec import unpack
from hmer.ink.render import RenderConfig
from hmer.ink.strokes import Ink
from hmer.synthesis.base import HELD_OUT, Leakage
from hmer.synthesis.glyphs.bank import GlyphBank
from hmer.synthesis.glyphs.cache import bank_of, split_file
from hmer.synthesis.glyphs.cutting import Sourced, cut_bank, read_training_inks

_DIALECT = "wap"  # of what does not say
_SMALL = RenderConfig(unit=4)  # the reader draws what it reads, and only the ink is wanted


@dataclass(frozen=True)
class TrainingInk:
    """The expressions of a training split that have ink.

    Attributes:
        items: ink, caption, writer and collection of each.
        bank: the glyphs cut from them; cut on the first call, or kept from an earlier time.
        held_out: captions of validation and test sets; None where nothing tells them.
        dialect: of the captions.
    """

    items: Sequence[Sourced]
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


def read_material(path: Path, held_out: Path | None = None) -> TrainingInk:
    """Read a training split.

    Args:
        path: `train.parquet`, the folder of a data set, or a folder or package of InkML, all of
            which is taken for training.
        held_out: file with the captions that must not be written; for Parquet the one beside it,
            if none is named.

    Raises:
        HmerError: there is no such thing, it is damaged or not for training, or nothing tells
            what is held out of a data set.
    """
    split = split_file(path)
    if split is None:
        return _from_inkml(path, held_out)
    items = list(read_training_inks(split))
    leakage = Leakage.read(held_out or split.parent / HELD_OUT)
    if not items:
        raise HmerError(f"{split}: no expression has ink; ingest a source with strokes")
    return TrainingInk(items, lambda: bank_of(split), leakage, _dialect(split.parent))


def _dialect(folder: Path) -> str:
    """The dialect of a data set's captions, as its account has it."""
    try:
        about = json.loads((folder / SUMMARY).read_text(encoding="utf-8"))
        return str(about["dialect"])
    except (OSError, ValueError, LookupError, TypeError):
        return _DIALECT


def _from_inkml(path: Path, held_out: Path | None) -> TrainingInk:
    check_path(path, "the training ink")
    leakage = None if held_out is None else Leakage.read(held_out)
    source = Crohme(train=str(path))
    refused, items = 0, []
    for found in ordered_map(Converter(_DIALECT, 0.0, _SMALL), source.items(0), 1):
        sample = found.result
        if isinstance(sample, Sample) and sample.ink is not None:
            ink = unpack(sample.ink)
            items.append(Sourced(ink, list(sample.tokens), sample.writer, sample.source))
        else:
            refused += 1
    if not items:
        raise HmerError(f"{path}: none of {refused} InkML files can be read; is it the right path?")
    return TrainingInk(items, lambda: cut_bank(items), leakage, _DIALECT)
