"""One browser for all tests of a page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hmer.web.browser import chromium


@pytest.fixture(scope="module")
def commands() -> Iterator[str]:
    """The address at which headless Chromium takes commands; each test opens a tab of its own."""
    with chromium() as found:
        yield found
