"""Score a recogniser on labelled InkML or pictures that are no data set: `hmer evaluate`."""

from __future__ import annotations

import csv
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hmer.data.batches import BatchConfig
from hmer.data.schema import Sample
from hmer.decoding.bidirectional import DecodingConfig
from hmer.errors import HmerError, InkError
from hmer.evaluation.metrics import SetScores, score_predictions
from hmer.evaluation.prediction import UNREADABLE, Prediction
from hmer.evaluation.reading import Count, read_all, uncounted
from hmer.ingest.archive import Member, spread
from hmer.ingest.convert import Converter
from hmer.ingest.sources.base import Rejected, SourceItem
from hmer.ingest.sources.inkml import NO_LABEL, ReadInkml
from hmer.ingest.sources.labels import Captions
from hmer.ink.codec import unpack
from hmer.ink.images import decode_png
from hmer.ink.inkml import looks_like_ink
from hmer.ink.raster import PICTURES
from hmer.ink.render import RenderConfig
from hmer.ink.strokes import Ink
from hmer.latex.label_graph import LabelGraph, label_graph
from hmer.recognizer import Recognizer


class GraphScores:
    """LgEval's main figures of label graphs.

    A symbol of the truth is *segmented* if the reading has one of exactly its strokes, and
    *recognised* if that has its label, too. A relation is right if both its symbols are segmented
    and the reading has the same relation between them. A structure is right if all its symbols are
    segmented and all relations are right, with none too many; an expression, if all labels are
    right as well. Recall is over the truth's symbols or relations, precision over the reading's.
    """

    def __init__(self) -> None:
        self.expressions = 0
        self._counts: Counter[str] = Counter()
        self._totals: Counter[str] = Counter()

    def update(self, truth: LabelGraph, read: LabelGraph) -> None:
        """Count an expression; of one that could not be read, `read` has no symbols."""
        by_strokes = {owned: key for key, owned in read.strokes.items() if owned}
        same = {
            key: by_strokes[owned] for key, owned in truth.strokes.items() if owned in by_strokes
        }
        recognised = sum(truth.labels[key] == read.labels[other] for key, other in same.items())
        related = sum(
            parent in same
            and child in same
            and read.relations.get((same[parent], same[child])) == relation
            for (parent, child), relation in truth.relations.items()
        )
        symbols, links = len(truth.strokes), len(truth.relations)
        structure = len(same) == len(read.strokes) == symbols
        structure = structure and related == len(read.relations) == links
        self.expressions += 1
        for name, count, total in (
            ("segmentation_recall", len(same), symbols),
            ("segmentation_precision", len(same), len(read.strokes)),
            ("symbol_recall", recognised, symbols),
            ("symbol_precision", recognised, len(read.strokes)),
            ("relation_recall", related, links),
            ("relation_precision", related, len(read.relations)),
            ("structure", structure, 1),
            ("exprate", structure and recognised == symbols, 1),
        ):
            self._counts[name] += count
            self._totals[name] += total

    def numbers(self) -> dict[str, float]:
        """Rates in percent, by the names of `hmer.evaluation.metrics.METRICS`; empty where nothing
        was counted."""
        if not self.expressions:
            return {}
        return {"label_graphs.n": float(self.expressions)} | {
            f"label_graphs.{name}": 100.0 * self._counts[name] / total
            for name, total in self._totals.items()
            if total
        }


BATCH = BatchConfig(max_pixels=400_000, max_count=32)


@dataclass
class LabelledSet:
    """Truths with images, and what could not be read."""

    ids: list[str] = field(default_factory=list)
    truths: list[tuple[str, ...]] = field(default_factory=list)
    images: list[NDArray[np.uint8]] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    """Id and reason of expressions with a truth that cannot be read: they count as wrong."""
    unlabelled: list[str] = field(default_factory=list)
    """Ids without a truth: they do not count."""
    unmatched: list[str] = field(default_factory=list)
    """Ids of captions that no file has; not looked for where only a part is read."""
    inks: dict[str, Ink] = field(default_factory=dict)
    """What the images are drawings of, by id, where the symbols are known."""
    pictures: bool = False
    """Read from pictures, not drawn from ink."""


def read_labelled(
    path: Path,
    render: RenderConfig,
    dialect: str,
    captions: Path | None = None,
    limit: int | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    enlarged: float = 1.0,
) -> LabelledSet:
    """Read a folder or package (.zip, .tar.gz, .tar.xz) of labelled InkML, whatever its ending.

    Where there is none, and there are captions, its pictures are read.

    Args:
        path: the folder or package; subfolders are searched.
        render: scale to draw at: the recogniser's own.
        dialect: of the captions: the recogniser's own.
        captions: lines of an id, a tab and LaTeX, in place of the truths in the files.
        limit: so many files at most, spread evenly.
        progress: is told how many files have been read.
        enlarged: draw ink at so many times the scale.

    Raises:
        HmerError: the path is missing, or holds no expression with a truth; the captions cannot
            be read, or none of their ids is that of a file.
    """
    seen: set[str] = set()

    def unique(id: str, file: str) -> str:
        """The id; the file where another expression has the same."""
        name = file if id in seen else id
        seen.add(name)
        return name

    own = Captions(captions, "--captions") if captions else None
    of_pictures = Converter(dialect, 0.0, render)
    of_ink = replace(of_pictures, render=render.model_copy(update={"unit": enlarged * render.unit}))
    found = LabelledSet()
    number = 0
    for number, task in enumerate(_tasks(path, own, limit), start=1):
        found.pictures = not isinstance(task, ReadInkml)
        converted = (of_pictures if found.pictures else of_ink)(task)
        result = converted.result
        if isinstance(result, Sample):
            found.ids.append(unique(result.id, converted.file))
            found.truths.append(tuple(result.tokens))
            found.images.append(decode_png(result.image))
            if ink := _annotated(result.ink):
                found.inks[found.ids[-1]] = ink
        elif NO_LABEL in result.reason:
            found.unlabelled.append(result.id)
        else:
            found.refused[unique(result.id, converted.file)] = result.reason
        if progress is not None:
            progress(number, None)
    if own and len(own.unused) == len(own.ids):
        raise HmerError(
            f"--captions: none of the {len(own.ids)} ids of {captions} is that of a file in "
            f"{path}; the first is {own.ids[0]!r}"
        )
    found.unmatched = list(own.unused) if own and not limit else []
    if not found.ids and not found.refused:
        reason = f"none of its {number} InkML files has a label" if number else "it has no InkML"
        raise HmerError(
            f"{path}: nothing to score: {reason}; name a labelled folder or package, and "
            "--captions for pictures"
        )
    return found


def as_pictures(
    found: LabelledSet, prepare: Callable[[Image.Image], NDArray[np.uint8]]
) -> LabelledSet:
    """The set with each drawing read back, by `Recognizer.prepare`, as a picture."""
    kept = replace(found, ids=[], truths=[], images=[], inks={}, refused=dict(found.refused))
    for id, truth, drawing in zip(found.ids, found.truths, found.images, strict=True):
        try:
            kept.images.append(prepare(Image.fromarray(255 - drawing)))
        except InkError as error:
            kept.refused[id] = str(error)
            continue
        kept.ids.append(id)
        kept.truths.append(truth)
    return kept


def _annotated(packed: bytes | None) -> Ink | None:
    """Ink all of whose symbols know their tokens."""
    ink = None if packed is None else unpack(packed)
    return ink if ink and ink.symbols and all(s.place is not None for s in ink.symbols) else None


def _tasks(
    path: Path, captions: Captions | None, limit: int | None
) -> Iterator[ReadInkml | SourceItem | Rejected]:
    """One task per file of ink; where there is none, and there are captions, the pictures."""
    ink = False
    for member in spread(path, "", "PATH", limit, _is_ink):
        ink = True
        caption = captions.of(member.name) if captions else None
        yield ReadInkml(member.name, member.data, "test", caption)
    if ink or captions is None:
        return
    for member in spread(path, PICTURES, "PATH", limit):
        id, caption = PurePosixPath(member.name).stem, captions.of(member.name)
        if caption is None:
            yield Rejected(id, member.name, NO_LABEL)
            continue
        yield SourceItem(
            id, "", "", "", tokens=caption, data=member.data, deskew=True, file=member.name
        )


def _is_ink(member: Member) -> bool:
    return member.name.lower().endswith(".inkml") or looks_like_ink(member.data)


@dataclass(frozen=True)
class Scored:
    """Scores, and every reading behind them."""

    scores: SetScores
    predictions: Sequence[Prediction]
    seconds: float
    """For recognition, without reading files and drawing."""
    reasons: Mapping[str, str]
    """Why an expression could not be read, by id."""
    unlabelled: int
    graphs: Mapping[str, float]
    """LgEval's figures (`hmer.evaluation.labelled`), where symbols are known."""

    def numbers(self) -> dict[str, float]:
        """All metrics by name."""
        return {**self.scores.numbers(), **self.graphs}

    def write(self, path: Path) -> None:
        """A CSV file with one row per expression, worst first."""
        # Names of files need not be text.
        with path.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["id", "edits", "truth", "reading", "confidence"])
            for row in sorted(self.predictions, key=lambda row: (-row.distance, row.id)):
                truth, reading = " ".join(row.truth), " ".join(row.tokens or ())
                writer.writerow([row.id, row.distance, truth, reading, f"{row.confidence:.4f}"])


def score(
    recognizer: Recognizer,
    found: LabelledSet,
    decoding: DecodingConfig,
    count: Count = uncounted,
) -> Scored:
    """Read every expression of the set and score it against its truth."""
    began = time.perf_counter()
    answers = read_all(recognizer, found.images, decoding, BATCH, count)
    seconds = time.perf_counter() - began
    predictions = [
        Prediction(id, truth, answer.tokens, answer.confidence)
        for id, truth, answer in zip(found.ids, found.truths, answers, strict=True)
    ]
    predictions += [Prediction(id, (UNREADABLE,), None, 0.0) for id in found.refused]
    scores = score_predictions(predictions)
    graphs = GraphScores()
    for id, truth, answer in zip(found.ids, found.truths, answers, strict=True):
        if ink := found.inks.get(id):
            strokes = {s.place: s.strokes for s in ink.symbols if s.place is not None}
            graphs.update(label_graph(truth, strokes), recognizer.on_ink(answer, ink).graph())
    return Scored(
        scores, predictions, seconds, found.refused, len(found.unlabelled), graphs.numbers()
    )
