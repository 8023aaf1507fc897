"""Registry of recognisers: by name, with their configuration, and their parameter counts.

A recogniser is a package of this folder whose `ENTRY` says how it is built. It is imported when it
is asked for, so that no recogniser depends on another one.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from hmer.errors import HmerError
from hmer.latex.vocabulary import Vocabulary, vocabulary
from hmer.models.base import Entry, Recogniser

RECOGNISERS = (
    "mask-match",
    "attention-coverage",
    "bttr",
    "comer",
    "hmer-mtl",
    "posformer",
    "ical",
)
"""Names; the package of each has the same name with `_` for `-`."""


def recogniser_entry(name: str) -> Entry:
    """How the recogniser of that name is built. Raises HmerError: there is none of that name."""
    if name not in RECOGNISERS:
        raise HmerError(f"no recogniser named {name!r}; there are: {', '.join(RECOGNISERS)}")
    entry: Entry = importlib.import_module(f"hmer.models.{name.replace('-', '_')}").ENTRY
    return entry


def build_recogniser(name: str, config: Mapping[str, Any], vocabulary: Vocabulary) -> Recogniser:
    """A recogniser with fresh weights.

    Raises:
        HmerError: there is none of that name.
        pydantic.ValidationError: the configuration does not suit it.
    """
    entry = recogniser_entry(name)
    return entry.build(entry.config.model_validate(config), vocabulary)


class ModelConfig(BaseModel):
    """A recogniser by name; all else is its own configuration.

    What is not given has the default of that recogniser, so that another name alone gives the
    other system as it was published. The chosen recogniser's class of configuration checks the
    keys (for `comer`: `encoder`, `decoder`, `arm`, `label_smoothing`).
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    name: str = Field("mask-match", description=", ".join(RECOGNISERS))

    @property
    def given(self) -> dict[str, Any]:
        """The settings as they were written."""
        return dict(self.__pydantic_extra__ or {})

    @property
    def settings(self) -> BaseModel:
        """The recogniser's own configuration."""
        return recogniser_entry(self.name).config.model_validate(self.given)

    def with_parts(self, parts: Mapping[str, Any]) -> BaseModel:
        """`settings` with other parts (configurations of encoder and the like)."""
        plain = {name: part.model_dump() for name, part in parts.items()}
        return recogniser_entry(self.name).config.model_validate({**self.given, **plain})

    @model_validator(mode="after")
    def _suits_the_recogniser(self) -> Self:
        if self.name not in RECOGNISERS:
            message = f"there is no such recogniser; choose one of {', '.join(RECOGNISERS)}"
            raise _complaint(("name",), self.name, message)
        try:
            _ = self.settings
        except ValidationError as error:
            known = ", ".join(recogniser_entry(self.name).config.model_fields)
            for problem in error.errors():
                if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1:
                    message = f"{self.name} has no such parameter, but: {known}"
                    raise _complaint(problem["loc"], problem["input"], message) from None
            raise
        return self


def _complaint(place: tuple[int | str, ...], value: Any, message: str) -> ValidationError:
    """An error about one key below the section."""
    kind = PydanticCustomError("model", "{message}", {"message": message})
    details = InitErrorDetails(type=kind, loc=place, input=value)
    return ValidationError.from_exception_data("ModelConfig", [details])


@dataclass(frozen=True, slots=True)
class Listed:
    """One recogniser, with the defaults of its configuration."""

    name: str
    encoder: str
    stride: int
    """Pixels per cell."""
    parameters: int
    """Trainable weights."""
    inference: int
    """Those that reading needs."""
    dialect: str
    """Of the captions, as published."""
    vocabulary: int
    """Classes of the word head, specials included."""
    description: str


def listing() -> list[Listed]:
    """Every recogniser at its default size: the field's, for those that are published."""
    found = []
    for name in RECOGNISERS:
        entry = recogniser_entry(name)
        settings = entry.config()
        with torch.device("meta"):  # sizes without memory or time for weights
            model = entry.build(settings, vocabulary(entry.dialect))
        encoder = settings.model_dump()["encoder"]["name"]
        description = (type(model).__doc__ or "").strip().splitlines()[0]
        sizes = count_parameters(model)
        found.append(
            Listed(name, encoder, model.stride, *sizes, entry.dialect, model.classes, description)
        )
    return found


def count_parameters(model: Recogniser) -> tuple[int, int]:
    """Trainable weights of all parts, and of those that reading needs."""
    sizes = {name: weights.numel() for name, weights in model.named_parameters()}
    needed = [name for name in sizes if name.split(".")[0] not in model.training_only]
    return sum(sizes.values()), sum(sizes[name] for name in needed)
