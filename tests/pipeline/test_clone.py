from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_a_clone_does_not_inherit_the_registration() -> None:
    """With its output in git, `register` would be skipped in a clone: no model, no champion."""
    assert "/registration.json" in (ROOT / "reports/.gitignore").read_text().split()
