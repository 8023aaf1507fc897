"""Interface of the sources of handwriting, and the split of training data by writer."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, cast

from pydantic import BaseModel, ConfigDict, field_validator

from hmer.ink.strokes import Ink

TRAIN = "train"
VALIDATION = "val"


def position(writer: str) -> float:
    """A writer's place in [0, 1), the same for ever: uniform over names."""
    digest = hashlib.sha256(writer.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def split_of(writer: str, share: float) -> str:
    """`VALIDATION` for about `share` of all writers, else `TRAIN`.

    A larger share keeps everyone in validation who was there under a smaller one.

    Raises:
        ValueError: the share is not in [0, 1].
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share is in [0, 1], not {share}")
    return VALIDATION if position(writer) < share else TRAIN


def held_out(dataset: Path) -> list[str]:
    """The splits of a data set that are scored: validation, development sets (dev*), test sets."""
    kinds = ("dev", "test")
    files = (path for kind in kinds for path in sorted(dataset.glob(f"{kind}*.parquet")))
    return [VALIDATION, *(path.stem for path in files)]


LEFT_OUT = "left-out"
"""Split of an item that belongs to no split: it is counted and passed over."""


@dataclass(frozen=True, slots=True)
class SourceItem:
    """One labelled expression as its source has it.

    Attributes:
        id: unique within the split; stable from run to run.
        source: collection it comes from, for per-source counts ("HAMEX", "synthetic", ...).
        writer: who wrote it; no writer is ever on both sides of the train/val cut.
        latex: the truth as found; `tokens` overrides it where the source knows the tokens.
        split: "train", "val", "dev-<name>", "test-<name>", `LEFT_OUT`, or None: train or val,
            cut by writer.
        further: additional training data, left out where train, val or a development set has the
            same ink, or a test or development set the same caption.
        ink: the strokes, in device units unless `normalised`; None for a picture.
        normalised: `ink` is already in symbol units (see `hmer.ink.scale`).
        data: content of a picture file; used where `ink` is None.
        deskew: turn the writing on the picture level.
        file: name of the file it was read from, "" if none.
        mathml: the truth as MathML, if there is any: tells which token each symbol writes.
        symbol_ids: for each symbol of `ink` the `xml:id` of its MathML element, or "".
    """

    id: str
    source: str
    writer: str
    latex: str
    tokens: tuple[str, ...] | None = None
    split: str | None = None
    further: bool = False
    ink: Ink | None = None
    normalised: bool = False
    data: bytes | None = None
    deskew: bool = False
    file: str = ""
    mathml: str | None = None
    symbol_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """An expression that was refused, and why; it ends up in the quarantine."""

    id: str
    file: str
    reason: str
    split: str | None = None


class Task(Protocol):
    """Work to be done in a worker process; must be picklable (a frozen dataclass, say)."""

    @property
    def key(self) -> str:
        """Names the item within its source, the same from run to run; known before the work."""
        ...

    @property
    def split(self) -> str | None:
        """As in `SourceItem`."""
        ...

    def __call__(self) -> SourceItem | Rejected:
        """Make the item. Deterministic: any random generator is seeded by the task's fields."""
        ...


class Source(BaseModel):
    """Where labelled expressions come from: a section of the `ingest` parameters.

    A path may begin with `~`, the home folder.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    """The value of `ingest.source` that selects this source, and the name of its section."""

    @field_validator("*", mode="before")
    @classmethod
    def _at_home(cls, value: Any) -> Any:
        return _expanded(value)

    def paths(self) -> Iterator[str]:
        """The files and folders that the source reads."""
        return iter(())

    @property
    def total(self) -> int | None:
        """How many items there will be, where that is known beforehand (for progress only)."""
        return None

    def items(self, seed: int) -> Iterator[SourceItem | Rejected | Task]:
        """Walk the source in a fixed order; the same seed gives the same items."""
        raise NotImplementedError(f"{type(self).__name__} does not say what its items are")

    @property
    def left_out(self) -> dict[str, int]:
        """After a walk, by source: training expressions that were not chosen."""
        return {}

    @property
    def excluded(self) -> dict[str, int]:
        """After a walk: held-out captions that synthesis has passed over."""
        return {}


def _expanded(value: Any) -> Any:
    """The value with `~` expanded wherever a text in it begins so: such texts are paths."""
    if isinstance(value, str) and value.startswith("~"):
        try:
            return str(Path(value).expanduser())
        except RuntimeError:  # nobody's home: it will be told that it does not exist
            return value
    if isinstance(value, dict):
        return {key: _expanded(inner) for key, inner in value.items()}
    return value


def key_of(item: SourceItem | Rejected | Task) -> str:
    """What names the item within its source."""
    return item.id if isinstance(item, SourceItem | Rejected) else item.key


def resolve(item: SourceItem | Rejected | Task) -> SourceItem | Rejected:
    """The item itself, running it first if it is a task; lone surrogates are escaped."""
    made = item if isinstance(item, SourceItem | Rejected) else item()
    escaped = {
        field.name: text.encode("utf-8", "backslashreplace").decode()
        for field in fields(made)
        if isinstance(text := getattr(made, field.name), str) and not text.isascii()
    }
    if not escaped:
        return made
    found: SourceItem | Rejected = replace(cast(Any, made), **escaped)
    return found
