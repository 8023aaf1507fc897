"""Which recogniser to train, and of which parts: the section `model` of the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from hmer.models.catalog import RECOGNISERS


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
        return RECOGNISERS[self.name].config.model_validate(self.given)

    def with_parts(self, parts: Mapping[str, Any]) -> BaseModel:
        """`settings` with other parts (configurations of encoder and the like)."""
        plain = {name: part.model_dump() for name, part in parts.items()}
        return RECOGNISERS[self.name].config.model_validate({**self.given, **plain})

    @model_validator(mode="after")
    def _suits_the_recogniser(self) -> Self:
        if self.name not in RECOGNISERS:
            message = f"there is no such recogniser; choose one of {', '.join(RECOGNISERS)}"
            raise _complaint(("name",), self.name, message)
        try:
            _ = self.settings
        except ValidationError as error:
            known = ", ".join(RECOGNISERS[self.name].config.model_fields)
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
