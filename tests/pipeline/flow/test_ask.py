"""Questions to DVC in a process of their own."""

from __future__ import annotations

from pathlib import Path

import pytest

from hmer.errors import HmerError
from pipeline.flow.ask import ask


def test_the_answer_is_what_the_script_prints_about_the_project(tmp_path: Path) -> None:
    script = "import json, os, sys\njson.dump([sys.argv[1], os.getcwd()], sys.stdout)"
    assert ask(tmp_path, script, str) == [str(tmp_path), str(tmp_path.resolve())]


def test_a_script_that_fails_is_one_error_with_its_reason(tmp_path: Path) -> None:
    def complaint(said: str) -> str:
        return f"no answer: {said.splitlines()[-1]}"

    with pytest.raises(HmerError, match="no answer: ValueError: broken"):
        ask(tmp_path, "raise ValueError('broken')", complaint)
