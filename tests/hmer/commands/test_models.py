"""`hmer models`."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from hmer.cli import app
from hmer.models.registry import RECOGNISERS


def test_as_json_and_as_a_table() -> None:
    found = CliRunner().invoke(app, ["models", "--json"])
    assert found.exit_code == 0
    rows = {row["name"]: row for row in json.loads(found.stdout)}
    assert list(rows) == list(RECOGNISERS)
    assert rows["comer"]["parameters"] == rows["comer"]["inference"] == 6_389_041
    assert rows["comer"]["vocabulary"] == 113
    table = CliRunner().invoke(app, ["models"])
    assert table.exit_code == 0
    assert all(name in table.stdout for name in RECOGNISERS)
    assert "6.389" in table.stdout
