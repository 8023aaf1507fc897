"""Pages and cards from the templates in `pipeline/templates`."""

from __future__ import annotations

from typing import Any


def rendered(template: str, **values: Any) -> str:
    """A template filled in; values are escaped where it is HTML.

    Raises:
        jinja2.UndefinedError: the template names a value that is not given.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pipeline"),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    return environment.get_template(template).render(**values)


def number(value: float) -> str:
    """A number for a table: whole with blanks between thousands, else with three decimals."""
    if value != value:
        return "–"
    return f"{value:,.0f}".replace(",", " ") if value == round(value) else f"{value:.3f}"
