"""What comes before the first stage."""

from __future__ import annotations

from pathlib import Path

from pipeline.declaration import PARAMS


def check(root: Path, config: str | None, settings: tuple[str, ...]) -> None:
    """The errors of `prepare`, without writing anything.

    Raises:
        HmerError: the parameters are wrong.
    """
    from pipeline.configurations import check_configuration

    check_configuration(root, config, settings)


def prepare(root: Path, config: str | None, settings: tuple[str, ...]) -> None:
    """Write the parameters that are asked for, and check all of them before anything runs.

    Raises:
        HmerError: they are wrong.
    """
    from pipeline.configurations import configure
    from pipeline.params import load_params

    if config is not None or settings:
        configure(root, config, settings)
    load_params(root / PARAMS)
