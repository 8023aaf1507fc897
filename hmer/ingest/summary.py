"""Summary of an ingestion in numbers."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict

from hmer.data.schema import Quarantined, Sample
from hmer.errors import HmerError
from hmer.ingest.sources.base import TRAIN, VALIDATION
from hmer.ink.render import RenderConfig
from hmer.latex.vocabulary import remedy_for

_VARYING = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[\d.]*\d)"""
_VARIES = re.compile(rf"{_VARYING}(?:\s+{_VARYING})*")
"""What differs between reasons of one kind: quoted text and numbers."""
_LACKING = "the vocabulary lacks tokens of the caption"
_KINDS = 1000
_TOLD = 5
_TOKENS = 20

SUMMARY = "summary.json"


class SplitSummary(BaseModel):
    """One split.

    `labels_in_train` counts samples whose label (token sequence) is also the label of a training
    sample; `writers_in_train` counts writers who also wrote training samples; `label_noise` counts
    samples whose caption, structure (MathML) and symbols contradict each other.
    """

    model_config = ConfigDict(frozen=True)

    samples: int
    writers: int
    distinct_labels: int
    by_source: dict[str, int]
    labels_in_train: int
    writers_in_train: int
    label_noise: int = 0


class Reason(BaseModel):
    """Why expressions were refused: how many for reasons of one kind, and the first of those."""

    model_config = ConfigDict(frozen=True)

    count: int
    example: str


class IngestSummary(BaseModel):
    """A whole dataset: its splits by name, and how much was refused, by folder of the file.

    `reasons` come most frequent first; `unknown_tokens` are those that the vocabulary lacks, with
    the number of refused expressions that have them. `left_out` counts, by source, what the weights
    of a mixture passed over; `excluded`, by reason, what was kept out of training as held-out;
    `too_long`, expressions of train and val with more tokens than wanted.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    dialect: str
    vocabulary: str
    splits: dict[str, SplitSummary]
    quarantined: int
    quarantined_by_folder: dict[str, int]
    reasons: list[Reason] = []
    unknown_tokens: dict[str, int] = {}
    left_out: dict[str, int] = {}
    excluded: dict[str, int] = {}
    too_long: int = 0
    render: RenderConfig | None = None

    def refusals(self) -> str:
        """How many expressions were refused, and why, in one line; "" where none was."""
        if not self.quarantined:
            return ""
        told = [f"{reason.count} as: {self._told(reason)}" for reason in self.reasons[:_TOLD]]
        if others := sum(reason.count for reason in self.reasons[_TOLD:]):
            told.append(f"{others} for other reasons")
        count = self.quarantined
        were = "expression was" if count == 1 else "expressions were"
        return f"{count} {were} refused: {'; '.join(told)}"

    def _told(self, reason: Reason) -> str:
        if reason.example != _LACKING:
            return reason.example
        tokens = [f"{token} ({count})" for token, count in self.unknown_tokens.items()]
        shown = ", ".join(tokens[:_TOKENS]) + (", ..." if len(tokens) > _TOKENS else "")
        remedy = remedy_for(self.unknown_tokens, self.dialect, self.vocabulary)
        return f"{_LACKING}: {shown}; {remedy}"

    def lack(self, val_share: float, paths: Sequence[str]) -> str:
        """What keeps the data of `paths` from being trained on, in one line; "" if nothing."""
        refusals = self.refusals()
        if not self.splits[TRAIN].samples:
            where = ", ".join(paths) or self.source
            taken = {name: split for name, split in self.splits.items() if split.samples}
            # Test sets may be whole where the training data are all refused.
            if VALIDATION in taken or (taken and not refusals):
                names = " and ".join("validation" if n == VALIDATION else n for n in taken)
                writers = sum(split.writers for split in taken.values())
                told = (
                    f"{self.source}: no training data: what was found in {where}, by {writers} "
                    f"writers, is all for {names} (val_share {val_share}); lower the shares, "
                    "take data of more writers, or leave the writers out of the captions"
                )
                return f"{told}. {refusals}." if refusals else told
            if not refusals:
                return f"{self.source}: nothing was found in {where}; check the source's path"
            return f"{self.source}: no training data is left. {refusals}."
        for name, split in self.splits.items():
            if name.startswith("dev-") and split.writers_in_train:
                return (
                    f"{self.source}: {split.writers_in_train} writers of {name} also wrote "
                    "training data; a development set shares no writer with train: name another one"
                )
        if not val_share or self.splits[VALIDATION].samples:
            return ""
        found = (
            f"{self.source}: no writer fell to validation at val_share {val_share} of "
            f"{self.splits[TRAIN].writers} writers; raise val_share, take more data, or leave the "
            "writers out of the captions"
        )
        return f"{found}. {refusals}." if refusals else found


def stored_render(dataset: Path) -> RenderConfig | None:
    """How the images of the dataset in a folder are drawn; None where it does not say.

    Raises:
        HmerError: its summary cannot be read.
    """
    path = dataset / SUMMARY
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8")).get("render")
        return None if found is None else RenderConfig.model_validate(found)
    except (OSError, ValueError, AttributeError) as error:
        raise HmerError(f"{path}: damaged ({error}); run ingest again") from None


@dataclass
class _Split:
    samples: int = 0
    noisy: int = 0
    writers: set[str] = field(default_factory=set)
    labels: Counter[bytes] = field(default_factory=Counter)
    sources: Counter[str] = field(default_factory=Counter)
    ids: set[str] = field(default_factory=set)


class Tally:
    """Counts samples as they pass by; keeps names and digests, never images."""

    def __init__(self) -> None:
        self._splits: dict[str, _Split] = {}
        self._refused: Counter[str] = Counter()
        self.excluded: Counter[str] = Counter()
        """Samples that were passed over to keep held-out data out of training, by reason."""
        self._kinds: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._unknown: Counter[str] = Counter()
        self.too_long = 0
        """Samples that were passed over for their length."""

    def seen(self, sample: Sample) -> bool:
        """Whether the sample's split already has one of this id."""
        return sample.id in self._splits.get(sample.split, _Split()).ids

    def add(self, sample: Sample, noisy: bool = False) -> None:
        """Count a sample that was kept."""
        split = self._splits.setdefault(sample.split, _Split())
        split.samples += 1
        split.noisy += noisy
        split.ids.add(sample.id)
        split.writers.add(sample.writer)
        split.sources[sample.source] += 1
        label = "\0".join(sample.tokens).encode()
        split.labels[hashlib.blake2b(label, digest_size=16).digest()] += 1

    def refuse(self, entry: Quarantined, unknown: tuple[str, ...] = ()) -> None:
        """Count a sample that was refused, `unknown` being tokens the vocabulary lacks."""
        self._refused[PurePosixPath(entry.file).parent.name] += 1
        self._unknown.update(unknown)
        example = _LACKING if unknown else " ".join(entry.reason.split())[:300]
        kind = example if unknown else _kind(entry)
        if kind not in self._examples and len(self._examples) >= _KINDS:
            kind = ""  # more kinds than anybody reads
        self._examples.setdefault(kind, example)
        self._kinds[kind] += 1

    def splits(self, *expected: str) -> dict[str, SplitSummary]:
        """The summary per split, `expected` ones also where they are empty."""
        train = self._splits.get("train", _Split())
        summaries = {}
        for name in sorted({*self._splits, *expected}):
            split = self._splits.get(name, _Split())
            summaries[name] = SplitSummary(
                samples=split.samples,
                writers=len(split.writers),
                distinct_labels=len(split.labels),
                by_source=dict(sorted(split.sources.items())),
                labels_in_train=sum(
                    count for label, count in split.labels.items() if label in train.labels
                ),
                writers_in_train=len(split.writers & train.writers),
                label_noise=split.noisy,
            )
        return summaries

    @property
    def reasons(self) -> list[Reason]:
        """Why samples were refused, most frequent first."""
        return [
            Reason(count=count, example=self._examples[kind])
            for kind, count in self._kinds.most_common()
        ]

    @property
    def unknown_tokens(self) -> dict[str, int]:
        """Tokens that the vocabulary lacks, most frequent first."""
        return dict(sorted(self._unknown.items(), key=lambda found: (-found[1], found[0])))

    @property
    def refused(self) -> dict[str, int]:
        """How many were refused, by the folder of their file."""
        return dict(sorted(self._refused.items()))


def _kind(entry: Quarantined) -> str:
    """A reason without what is the single expression's: names, quotations, numbers."""
    path = PurePosixPath(entry.file)
    head, colon, _ = entry.reason.partition(": ")
    names = {entry.id, entry.file, path.name, path.stem, head if colon and " " not in head else ""}
    longest = sorted(map(re.escape, filter(None, names)), key=len, reverse=True)
    reason = re.sub(rf"(?<!\w)(?:{'|'.join(longest)})(?!\w)", "*", entry.reason)
    return _VARIES.sub("*", reason)
