"""CROHME: handwritten expressions as InkML, in folders or packages, one subfolder a collection.

Competition on Recognition of Online Handwritten Mathematical Expressions, 2011 to 2023; the
training data of 2016 hold 8836 files of six collections, and each year has a test set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import Field, field_validator, model_validator

from hmer.errors import HmerError, InkError, LatexError
from hmer.ingest.archive import check_path, count_members, spread
from hmer.ingest.sources.base import LEFT_OUT, Rejected, Setting, SourceConfig, SourceItem, position
from hmer.ingest.sources.labels import Name, Names, read_labels, split_name
from hmer.ink.inkml import LABELS, InkDocument, read_inkml
from hmer.ink.raster import PICTURES
from hmer.latex.mathml import read_mathml
from hmer.latex.tree import serialise

_SUFFIX = ".inkml"
_ENDINGS = (_SUFFIX, ".ink", ".xml", ".svg", ".pdf", *PICTURES)
_TRAIN = "train"
_CROHME = "crohme"
_DEVELOPMENT_SHARE = 0.5
NO_LABEL = f"there is no label: no annotation of type {', '.join(LABELS)} with a text"
_TEST_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class CrohmeConfig(SourceConfig):
    """Where the CROHME data are: folders, or .tar.xz, .tar.gz or .zip packages of InkML."""

    train: str = Field(
        default="data/raw/crohme/train.tar.xz",
        description="training data; validation is cut from it",
    )
    tests: dict[str, str] = Field(
        default_factory=dict, description='test sets by name: "2014" becomes the split "test-2014"'
    )
    development: dict[str, str] = Field(
        default_factory=dict,
        description='sets whose writers are halved: "2013" gives the split "dev-2013", on which '
        "choices are made; the other half is trained on if `further` names the set, too",
    )
    further: dict[str, str] = Field(
        default_factory=dict,
        description="more training data by name, without the ink that train has and without the "
        "captions of the test sets",
    )
    captions: dict[str, str] = Field(
        default_factory=dict,
        description='files of "id<TAB>tokens" that override truths, for "train" or a test\'s name',
    )
    limit: int | None = Field(
        default=None, ge=1, description="take only so many files of each, spread evenly"
    )

    @field_validator("tests", "development", "further")
    @classmethod
    def _plain_names(cls, tests: dict[str, str]) -> dict[str, str]:
        for name in tests:
            if name == _TRAIN or not _TEST_NAME.fullmatch(name):
                raise ValueError(f"name {name!r}: use lower-case letters, digits and hyphens")
        return tests

    @model_validator(mode="after")
    def _captions_of_something(self) -> CrohmeConfig:
        for name, path in self.development.items():
            if self.further.get(name, path) != path:
                raise ValueError(f"{name!r} is one path in development and another in further")
        for name in self.captions:
            if name != _TRAIN and name not in self.tests:
                raise ValueError(f"captions for {name!r}, which is neither 'train' nor in tests")
        return self

    def open(self, setting: Setting) -> CrohmeSource:
        """The source over these files."""
        return CrohmeSource(self)

    def paths(self) -> Iterator[str]:
        """Training data, test sets and captions."""
        yield from (self.train, *self.tests.values(), *self.development.values())
        yield from (p for name, p in self.further.items() if name not in self.development)
        yield from self.captions.values()


@dataclass(frozen=True, slots=True)
class ReadInkml:
    """Parse one file; a `Task`."""

    file: str
    data: bytes
    split: str | None
    caption: tuple[str, ...] | None = None
    development: str = ""
    """Name of the development set that half of the writers make up."""
    further: str = ""
    """Name of the further training data that it belongs to."""

    @property
    def key(self) -> str:
        """The file."""
        return self.file

    def __call__(self) -> SourceItem | Rejected:
        """The labelled ink, or why it was refused."""
        path = PurePosixPath(self.file)
        collection = path.parent.name or _CROHME
        try:
            document = read_inkml(self.data, path.name)
            latex = document.latex if self.caption else _truth(document, path.name)
        except (InkError, LatexError) as error:
            return Rejected(path.stem, self.file, str(error), self.split)
        if not latex and self.caption is None:
            return Rejected(path.stem, self.file, f"{path.name}: {NO_LABEL}", self.split)
        writer, split = document.writer or writer_of(path.stem, collection), self.split
        held_out = bool(self.development) and position(writer) < _DEVELOPMENT_SHARE
        if held_out:
            split = f"dev-{self.development}"
        elif self.development and not self.further:
            split = LEFT_OUT
        added = bool(self.further) and not held_out
        return SourceItem(
            id=f"{self.further}/{path.stem}" if added else path.stem,
            source=f"{_CROHME}-{self.further}" if added else collection,
            writer=writer,
            latex=latex,
            tokens=self.caption,
            split=split,
            further=added,
            ink=document.ink,
            file=self.file,
            mathml=document.mathml,
            symbol_ids=document.symbol_ids,
        )


def _truth(document: InkDocument, name: str) -> str:
    """The LaTeX of a document, else that of its MathML; "" where it has neither.

    Raises:
        LatexError: the MathML cannot be read.
    """
    if document.latex or not document.mathml:
        return document.latex
    return " ".join(serialise(read_mathml(document.mathml, name).row))


@dataclass(frozen=True, slots=True)
class CrohmeSource:
    """All files of the training data, then of each test set.

    Attributes:
        config: where they are.
        parameter: name of `config` in the user's parameters, for error messages.
    """

    config: CrohmeConfig
    parameter: str = "ingest.crohme"

    name = "crohme"

    @property
    def total(self) -> int | None:
        """How many files there are, if no package has to be read to the end to know."""
        paths = [path for path, _ in self._parts()]
        paths += [path for path, _, _ in self._halved_and_further()]
        return count_members(paths, _SUFFIX, self.config.limit)

    def items(self, seed: int) -> Iterator[ReadInkml]:
        """One task per file; the seed plays no part.

        Raises:
            ArchiveError: a path is missing, or a package damaged or unsafe.
        """
        # A wrong path should be told before an hour's work on the right ones.
        parts = [(*part, self._captions(part[1])) for part in self._parts()]
        for path, name, _ in parts:
            check_path(path, self._parameter(name))
        for path, section, name in self._halved_and_further():
            check_path(path, self._parameter(name, section))
        for path, name, captions in parts:
            split = None if name == _TRAIN else f"test-{name}"
            parameter = self._parameter(name)
            for member in spread(path, _SUFFIX, parameter, self.config.limit):
                caption = captions.of(member.name) if captions else None
                yield ReadInkml(member.name, member.data, split, caption)
        # Last: what they share with the sets before is left out of them.
        for path, section, name in self._halved_and_further():
            both = name if name in self.config.further else ""
            development = name if section == "development" else ""
            for member in spread(path, _SUFFIX, self._parameter(name, section), self.config.limit):
                yield ReadInkml(
                    member.name, member.data, None, development=development, further=both
                )

    def _parts(self) -> list[tuple[Path, str]]:
        """Path and name of each part: "train", then the tests."""
        parts = [(self.config.train, _TRAIN)]
        parts += [(path, name) for name, path in sorted(self.config.tests.items())]
        return [(Path(path), name) for path, name in parts]

    def _halved_and_further(self) -> list[tuple[Path, str, str]]:
        """Path, section and name of the development sets, then of other further data."""
        config = self.config
        found = [(Path(p), "development", name) for name, p in sorted(config.development.items())]
        found += [
            (Path(path), "further", name)
            for name, path in sorted(config.further.items())
            if name not in config.development
        ]
        return found

    def _parameter(self, name: str, section: str = "tests") -> str:
        return f"{self.parameter}.{name if name == _TRAIN else f'{section}.{name}'}"

    def _captions(self, name: str) -> Captions | None:
        path = self.config.captions.get(name)
        return Captions(Path(path), f"{self.parameter}.captions.{name}") if path else None


class Captions:
    """Tokens by file, from lines of an id, a tab, and LaTeX, or any file of labels (`labels`).

    An id may have folders, and any ending of ink or of a picture of it. What has no blanks between
    its tokens is split later, by `hmer.latex.dialect`.

    Attributes:
        ids: as they are written.
        unused: those that no file has had so far.
    """

    def __init__(self, path: Path, parameter: str) -> None:
        """Read them.

        Raises:
            HmerError: the file is missing, empty, not UTF-8, or has a line of another form.
        """
        self._by_name: dict[Name, tuple[str, tuple[str, ...]]] = {}
        for label in read_labels(path, parameter, otherwise=".txt"):
            if label.problem:
                raise HmerError(f"{parameter}: {path}: {label.problem}")
            id, tokens = label.file.strip(), tuple(label.latex.split())
            if self._by_name.setdefault(_bare(id), (id, tokens))[1] != tokens:
                raise HmerError(
                    f"{parameter}: {path}: {id} is named twice; keep one of its captions"
                )
        if not self._by_name:
            raise HmerError(f"{parameter}: {path} holds no captions; write a line each")
        self._names = Names(self._by_name)
        self.ids = [id for id, _ in self._by_name.values()]
        self.unused = dict.fromkeys(self.ids)

    def of(self, file: str) -> tuple[str, ...] | None:
        """The caption of a file; None where no id is its, or several may be."""
        for name in (_bare(file), _bare(str(PurePosixPath(file).with_suffix("")))):
            # Folders that are called otherwise elsewhere matter only where they have to.
            found = self._names.fitting(name) or self._names.by_stem.get(name[0][-1], [])
            if len(found) == 1:
                id, tokens = self._by_name[found[0]]
                self.unused.pop(id, None)
                return tokens
        return None


def _bare(file: str) -> Name:
    """A name without its endings."""
    parts, ending = split_name(file, _ENDINGS)
    while ending:
        parts, ending = split_name("/".join(parts), _ENDINGS)
    return parts, ""


def writer_of(stem: str, collection: str) -> str:
    """Who wrote a file that does not say: the session or form in its name, or else the file.

    Most files of MathBrush name no writer; of their numbers (2009210-947-12) the second is the
    nearest thing to one. Files named form003-equation016 come from one sheet of paper.
    """
    found = re.fullmatch(r"\d+-(\d+)-\d+|(form[a-z]*\d+)-equation\d+", stem)
    return f"{collection}-{found[1] or found[2]}" if found else f"{collection}/{stem}"
