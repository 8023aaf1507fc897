from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.tracking.store import TrackingError, answered, artifact_location, without_password


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        (
            "postgresql+psycopg2://me:secret@host:5432/db",
            "postgresql+psycopg2://me:***@host:5432/db",
        ),
        ("https://me:s%40e@host/path", "https://me:***@host/path"),
        ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
        ("sqlite:////project/mlflow.db", "sqlite:////project/mlflow.db"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_its_password(uri: str, shown: str) -> None:
    assert without_password(uri) == shown


def test_the_error_keeps_the_password_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "postgresql://me:secret@host/db")
    with (
        pytest.raises(TrackingError, match=r"me:\*\*\*@host/db does not answer") as raised,
        answered(),
    ):
        raise OSError("refused")
    assert "secret" not in str(raised.value)


def test_artifacts_stay_with_the_project_unless_a_server_has_them(tmp_path: Path) -> None:
    here = (tmp_path / "mlruns").as_uri()
    assert artifact_location(f"sqlite:///{tmp_path}/mlflow.db", tmp_path) == here
    assert artifact_location("postgresql://me@host/db", tmp_path) == here
    assert artifact_location("http://127.0.0.1:5000", tmp_path) is None
    assert artifact_location("databricks", tmp_path) is None
