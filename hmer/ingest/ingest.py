"""From a source of handwriting to a dataset: one Parquet file per split, and an account of it.

The output folder appears complete or not at all. The same source, configuration and code give
the same bytes, whatever the number of workers.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from hmer.data.schema import (
    QUARANTINE_SCHEMA,
    SCHEMA,
    Quarantined,
    RowWriter,
    Sample,
    row_writer,
    sample_row,
)
from hmer.errors import HmerError
from hmer.files import atomic_folder
from hmer.ingest.convert import Converted, Converter, caption_tokens
from hmer.ingest.glyphs import GlyphsConfig
from hmer.ingest.outer import add_outer
from hmer.ingest.pool import dask_map, ordered_map
from hmer.ingest.sources.base import LEFT_OUT, TRAIN, VALIDATION, Source
from hmer.ingest.sources.comer import Comer
from hmer.ingest.sources.crohme import Crohme
from hmer.ingest.sources.images import Images
from hmer.ingest.sources.mathwriting import MathWriting
from hmer.ingest.sources.mixture import Mixed
from hmer.ingest.sources.synthetic import Synthetic
from hmer.ingest.summary import SUMMARY, IngestSummary, Tally
from hmer.ink.render import RenderConfig
from hmer.latex.dialect import spelled
from hmer.latex.vocabulary import STRUCTURE, Vocabulary, chosen_vocabulary
from hmer.synthesis.base import HELD_OUT, Leakage

VOCABULARY = "vocabulary.json"
QUARANTINE = "quarantine.parquet"
LABEL_NOISE = "label_noise.parquet"

Result = TypeVar("Result")

Progress = Callable[[int, int | None], None]
"""Called with how many expressions are done, and of how many, if that is known."""


class IngestConfig(BaseModel):
    """What to make a dataset of, and how."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str = Field(
        default="synthetic", description="a source's name, as its section is called, or mixed"
    )
    seed: int = Field(default=0, ge=0, description="of synthetic data")
    dialect: str = Field(
        default="wap",
        description="of the captions: wap, comer, can or plain; plain is the default with another "
        "vocabulary than crohme",
    )
    vocabulary: str = Field(
        default="crohme",
        description="crohme, mathwriting, wide, captions (what they use), or a file of tokens",
    )
    least: int = Field(
        default=5, ge=1, description="captions that a token must be in to join `captions`"
    )
    val_share: float = Field(
        default=0.1, ge=0, le=0.5, description="share of writers kept from training"
    )
    longest: int | None = Field(
        default=None, ge=1, description="tokens; longer ones are left out of train and val"
    )
    workers: int = Field(
        default=2, ge=1, le=256, description="processes; the result does not depend on it"
    )
    scheduler: Literal["processes", "dask"] = Field(
        default="processes", description="who runs the workers; neither changes the result"
    )
    address: str | None = Field(
        default=None, description="of a Dask scheduler; none: a cluster on this machine"
    )
    render: RenderConfig = RenderConfig()
    crohme: Crohme = Crohme()
    comer: Comer = Comer()
    images: Images = Images()
    mathwriting: MathWriting = MathWriting()
    synthetic: Synthetic = Synthetic()
    glyphs: GlyphsConfig = GlyphsConfig()
    captions: list[str] = Field(
        default_factory=list,
        description="files of LaTeX, one expression a line, to be composed; the test "
        "`composed` has captions of the first",
    )
    mixed: dict[str, float] = Field(
        default_factory=dict,
        description="the sources of `mixed`, each with the share of its training data to take",
    )

    @model_validator(mode="before")
    @classmethod
    def _dialect_of(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("vocabulary", "crohme") != "crohme":
            return {"dialect": "plain", **given}
        return given

    @field_validator("source")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in (*cls.sources(), Mixed.name):
            raise ValueError(f"choose one of {', '.join((*cls.sources(), Mixed.name))}")
        return name

    @model_validator(mode="after")
    def _mixable(self) -> IngestConfig:
        for name, weight in self.mixed.items():
            if name not in self.sources():
                raise ValueError(f"mixed: {name!r} is none of {', '.join(self.sources())}")
            if not 0 < weight <= 1:
                raise ValueError(f"mixed.{name} = {weight}: a weight is above 0 and at most 1")
        if self.source == Mixed.name and not self.mixed:
            raise ValueError("source is mixed, but `mixed` names no source")
        return self

    @classmethod
    def sources(cls) -> tuple[str, ...]:
        """The names of all sources: those of the fields that configure one."""
        return tuple(
            name
            for name, field in cls.model_fields.items()
            if isinstance(field.annotation, type) and issubclass(field.annotation, Source)
        )

    def chosen(self) -> dict[str, float]:
        """The sources that are read, with their weights."""
        return self.mixed if self.source == Mixed.name else {self.source: 1.0}

    def paths(self) -> list[str]:
        """The files and folders that are read."""
        of_sources = [path for name in self.chosen() for path in self._section(name).paths()]
        return [*of_sources, *self.glyphs.paths(), *self.captions]

    def open(self) -> Source:
        """The source, or the mixture of sources."""
        parts = tuple((self._section(name), weight) for name, weight in self.chosen().items())
        return Mixed(parts=parts) if self.source == Mixed.name else parts[0][0]

    def _section(self, name: str) -> Source:
        section: Source = getattr(self, name)
        return section


def ingest(
    config: IngestConfig,
    out: Path,
    progress: Progress | None = None,
    refused: Path | None = None,
) -> IngestSummary:
    """Make the dataset `out` of the configured source; an earlier dataset there is replaced.

    Writes `<split>.parquet` for every split (always train and val), `vocabulary.json`,
    `quarantine.parquet`, `label_noise.parquet` (expressions whose annotations contradict each
    other; they are in their split all the same) and `summary.json`. For lack of data there is none,
    but the quarantine goes to `refused`, by default beside `out`.

    Raises:
        HmerError: the source cannot be read, training or validation would be empty, or `out`
            holds something that is not a dataset.
    """
    return ingest_source(config.open(), config, out, progress, refused)


def ingest_source(
    source: Source,
    config: IngestConfig,
    out: Path,
    progress: Progress | None = None,
    refused: Path | None = None,
) -> IngestSummary:
    """As `ingest`, from any source; `config.source` is not looked at."""
    words = _vocabulary(source, config)
    converter = Converter(config.dialect, config.val_share, config.render, words)
    total = source.total
    tally = Tally()
    refused = refused or out.with_name(f"{out.name}-{QUARANTINE}")
    with replaced_folder(out) as folder:
        results = _reported(_mapped(converter, source, config), total, progress)
        held_out = _write(folder, results, tally, config.longest)
        add_outer(config.glyphs, config.captions, words, converter, config.seed, folder, held_out)
        summary = IngestSummary(
            source=source.name,
            dialect=config.dialect,
            vocabulary=words.digest,
            splits=tally.splits(TRAIN, VALIDATION),
            quarantined=sum(tally.refused.values()),
            quarantined_by_folder=tally.refused,
            reasons=tally.reasons,
            unknown_tokens=tally.unknown_tokens,
            left_out=source.left_out,
            excluded={**source.excluded, **tally.excluded},
            too_long=tally.too_long,
            render=config.render,
        )
        if problem := summary.lack(config.val_share, config.paths()):
            if summary.quarantined:
                shutil.move(folder / QUARANTINE, refused)
                problem += f" All of them are in {refused}"
            raise HmerError(problem)
        refused.unlink(missing_ok=True)
        Leakage.of(held_out).write(folder / HELD_OUT)
        (folder / VOCABULARY).write_text(words.to_json(), encoding="utf-8")
        (folder / SUMMARY).write_text(summary.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return summary


def _mapped(
    function: Callable[[Any], Result], source: Source, config: IngestConfig
) -> Iterator[Result]:
    """The function of every item of a source, in order."""
    items = source.items(config.seed)
    if config.scheduler == "dask":
        return dask_map(function, items, config.workers, config.address, _size)
    return ordered_map(function, items, config.workers, _size)


def _vocabulary(source: Source, config: IngestConfig) -> Vocabulary:
    """The vocabulary that is asked for; `captions` takes a walk over all of them.

    Raises:
        LatexError: there is no such vocabulary.
    """
    if config.vocabulary != "captions":
        return chosen_vocabulary(config.vocabulary, config.dialect, spelled)
    counts: Counter[str] = Counter()
    for tokens in _mapped(partial(caption_tokens, dialect=config.dialect), source, config):
        counts.update(set(tokens))
    used = (token for token, count in counts.items() if count >= config.least)
    return Vocabulary(config.dialect, sorted({*STRUCTURE, *used}))


def _size(item: Any) -> int:
    """Bytes that go to a worker with the item: those of the file it is read from."""
    return len(getattr(item, "data", None) or b"")


def _reported(
    results: Iterator[Converted], total: int | None, progress: Progress | None
) -> Iterator[Converted]:
    for done, result in enumerate(results, 1):
        yield result
        if progress is not None:
            progress(done, total)


def _write(
    folder: Path, results: Iterable[Converted], tally: Tally, longest: int | None
) -> set[tuple[str, ...]]:
    """Every result to the file it belongs to; of equal ids in a split all but the first become
    the names of their files, or are refused where those or the ink are the same, too.

    Expressions of more than `longest` tokens are left out, but never out of a test set. Returns
    the captions outside the training split.
    """
    held_out: set[tuple[str, ...]] = set()
    judged: set[tuple[str, ...]] = set()  # captions of development and test sets
    inks: dict[bytes, Sample] = {}
    with ExitStack() as stack:

        def opened(name: str) -> RowWriter:
            return stack.enter_context(row_writer(folder / f"{name}.parquet", SCHEMA))

        writers = {name: opened(name) for name in (TRAIN, VALIDATION)}
        quarantine, noise = (
            stack.enter_context(row_writer(folder / name, QUARANTINE_SCHEMA))
            for name in (QUARANTINE, LABEL_NOISE)
        )
        for converted in results:
            result = converted.result
            if isinstance(result, Sample) and (
                reason := _excluded(result, converted.further, inks, judged)
            ):
                tally.excluded[reason] += 1
                continue
            if isinstance(result, Sample) and tally.seen(result):
                named = replace(result, id=converted.file or result.id)
                if tally.seen(named) or result.ink in inks:
                    reason = f"{named.id}: {result.split} already has it; keep one of them"
                    result = Quarantined(result.id, converted.file, reason, result.split)
                else:
                    result = named
            if isinstance(result, Quarantined):
                tally.refuse(result, converted.unknown)
                quarantine.add(asdict(result))
                continue
            if longest and len(result.tokens) > longest and result.split in (TRAIN, VALIDATION):
                tally.too_long += 1
                continue
            if result.ink is not None:
                inks.setdefault(result.ink, result)
            tally.add(result, noisy=converted.unplaced is not None)
            if converted.unplaced is not None:
                noise.add(
                    asdict(Quarantined(result.id, converted.file, converted.unplaced, result.split))
                )
            if result.split not in writers:
                writers[result.split] = opened(result.split)
            writers[result.split].add(sample_row(result))
            if result.split != TRAIN:
                held_out.add(tuple(result.tokens))
                if result.split != VALIDATION:
                    judged.add(tuple(result.tokens))
    return held_out


def _excluded(
    sample: Sample, further: bool, inks: Mapping[bytes, Sample], judged: set[tuple[str, ...]]
) -> str:
    """Why a sample is passed over; "" if it is not.

    Raises:
        HmerError: a development set has ink of the training data.
    """
    if sample.split == LEFT_OUT:
        return "other half of a development set"
    same = None if sample.ink is None else inks.get(sample.ink)
    if sample.split.startswith("dev") and same is not None and same.split == TRAIN:
        raise HmerError(
            f"{sample.split}: {sample.id} is the ink of {same.id}, which is trained on; a "
            "development set shares no ink with train: name another one"
        )
    if further and same is not None:
        return "further ink that is there already"
    if further and tuple(sample.tokens) in judged:
        return "further captions of a development or test set"
    return ""


@contextmanager
def replaced_folder(out: Path) -> Iterator[Path]:
    """A new folder beside `out` that takes its place when the block ends without an error.

    Raises:
        HmerError: `out` is a file, or holds something other than a dataset.
    """
    if out.exists() and not out.is_dir():
        raise HmerError(f"{out}: is a file, not a folder for a dataset; choose another place")
    if out.is_dir() and any(out.iterdir()) and not (out / SUMMARY).is_file():
        raise HmerError(f"{out}: holds something that is not a dataset; choose an empty folder")
    with atomic_folder(out) as fresh:
        yield fresh
