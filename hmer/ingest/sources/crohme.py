"""CROHME: handwritten expressions as InkML, in folders or packages, one subfolder a collection.

Competition on Recognition of Online Handwritten Mathematical Expressions, 2011 to 2023; the
training data of 2016 hold 8836 files of six collections, and each year has a test set.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import Field, field_validator, model_validator

from hmer.ingest.archive import check_path, count_members, spread
from hmer.ingest.sources.base import Source
from hmer.ingest.sources.inkml import SUFFIX, ReadInkml
from hmer.ingest.sources.labels import Captions

_TRAIN = "train"
_TEST_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Crohme(Source):
    """Where the CROHME data are: folders, or .tar.xz, .tar.gz or .zip packages of InkML."""

    name = "crohme"

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
    def _captions_of_something(self) -> Crohme:
        for name, path in self.development.items():
            if self.further.get(name, path) != path:
                raise ValueError(f"{name!r} is one path in development and another in further")
        for name in self.captions:
            if name != _TRAIN and name not in self.tests:
                raise ValueError(f"captions for {name!r}, which is neither 'train' nor in tests")
        return self

    def paths(self) -> Iterator[str]:
        """Training data, test sets and captions."""
        yield from (part.path for part in self._parts())
        yield from self.captions.values()

    @property
    def total(self) -> int | None:
        """How many files there are, if no package has to be read to the end to know."""
        return count_members((Path(part.path) for part in self._parts()), SUFFIX, self.limit)

    def items(self, seed: int) -> Iterator[ReadInkml]:
        """One task per file; the seed plays no part.

        Raises:
            ArchiveError: a path is missing, or a package damaged or unsafe.
        """
        # A wrong path should be told before an hour's work on the right ones.
        captions = {
            name: Captions(Path(path), f"ingest.crohme.captions.{name}")
            for name, path in self.captions.items()
        }
        for part in self._parts():
            check_path(Path(part.path), part.parameter)
        for part in self._parts():
            known = captions.get(part.section.removeprefix("tests."))
            for member in spread(Path(part.path), SUFFIX, part.parameter, self.limit):
                yield ReadInkml(
                    member.name,
                    member.data,
                    part.split,
                    known.of(member.name) if known else None,
                    development=part.development,
                    further=part.further,
                )

    def _parts(self) -> Iterator[_Part]:
        """The training data and the tests, then what is left out where it shares ink with them."""
        yield _Part(self.train, _TRAIN)
        for name, path in sorted(self.tests.items()):
            yield _Part(path, f"tests.{name}", split=f"test-{name}")
        for name, path in sorted(self.development.items()):
            both = name if name in self.further else ""
            yield _Part(path, f"development.{name}", development=name, further=both)
        for name, path in sorted(self.further.items()):
            if name not in self.development:
                yield _Part(path, f"further.{name}", further=name)


class _Part(NamedTuple):
    """A folder or package, the setting of this source that names it, the rest as in `ReadInkml`."""

    path: str
    section: str
    split: str | None = None
    development: str = ""
    further: str = ""

    @property
    def parameter(self) -> str:
        return f"ingest.crohme.{self.section}"
