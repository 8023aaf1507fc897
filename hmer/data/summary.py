"""What an ingestion produced, in numbers."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict

from hmer.data.schema import Quarantined, Sample
from hmer.errors import HmerError
from hmer.ink.render import RenderConfig

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


class IngestSummary(BaseModel):
    """A whole dataset: its splits by name, and how much was refused, by folder of the file.

    `left_out` counts, by source, training expressions that the weights of a mixture passed over;
    `too_long` expressions of train and val with more tokens than wanted. `render` is how its images
    are drawn.
    """

    model_config = ConfigDict(frozen=True)

    source: str
    dialect: str
    vocabulary: str
    splits: dict[str, SplitSummary]
    quarantined: int
    quarantined_by_folder: dict[str, int]
    left_out: dict[str, int] = {}
    excluded: dict[str, int] = {}
    too_long: int = 0
    render: RenderConfig | None = None


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

    def refuse(self, entry: Quarantined) -> None:
        """Count a sample that was refused."""
        self._refused[PurePosixPath(entry.file).parent.name] += 1

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
    def refused(self) -> dict[str, int]:
        """How many were refused, by the folder of their file."""
        return dict(sorted(self._refused.items()))
