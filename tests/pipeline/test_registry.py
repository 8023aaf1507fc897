"""Registered models: the gate against a real registry, and loading with pickle forbidden."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hmer.errors import HmerError
from pipeline.candidate import Candidate, candidate
from pipeline.champion import FOLDER, export, fetch
from pipeline.declaration import Declaration
from pipeline.promotion import RegisterConfig, Score
from pipeline.registry import Registration, register, requirements, served_code, version_of
from pipeline.stage import Stage
from pipeline.tracking import stage_run

ROOT = Path(__file__).parents[2]

LOAD = """
import base64, json, sys
import pandas as pd
import mlflow
assert "hmer" not in sys.modules
model = mlflow.pyfunc.load_model("models:/toy@champion")
images = [base64.b64decode(text) for text in json.load(sys.stdin)]
answers = model.predict(pd.DataFrame({"image": images}))
import hmer
print(json.dumps({"answers": answers.to_dict("records"), "code": hmer.__file__}))
"""


def png(seed: int) -> bytes:
    import io

    from PIL import Image, ImageDraw

    picture = Image.new("L", (90, 60), 255)
    ImageDraw.Draw(picture).line((10, 10 + seed, 60, 50, 80, 12), fill=0, width=3)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def tiny_model(folder: Path, seed: int) -> None:
    import torch

    from hmer.ink.render import RenderConfig
    from hmer.latex.vocabulary import vocabulary
    from hmer.models.attention import AttentionConfig
    from hmer.models.catalog import build_recogniser
    from hmer.models.decoders.transformer import DecoderConfig
    from hmer.models.encoders.compact import CompactConfig
    from hmer.models.mask_match import MaskMatchConfig
    from hmer.models.store import save_module

    words = vocabulary("wap")
    config = MaskMatchConfig(
        encoder=CompactConfig(width=8, blocks=(1, 1, 1)),
        attention=AttentionConfig(heads=1, hidden=8),
        decoder=DecoderConfig(layers=1, width=16, heads=1, feedforward=16),
    ).model_dump(mode="json")
    torch.manual_seed(seed)
    about = {
        "kind": "recogniser",
        "name": "mask-match",
        "config": config,
        "render": RenderConfig().model_dump(mode="json"),
        "vocabulary": json.loads(words.to_json()),
    }
    folder.mkdir(parents=True)
    model = build_recogniser("mask-match", config, words)
    save_module(model, folder / "model.safetensors", about)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project with three models, a test set, and a registry of its own."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = tmp_path_factory.mktemp("project")
    for seed in (1, 2, 3):
        tiny_model(root / f"model-{seed}", seed)
    for name in ("test-a", "test-b"):
        (root / name).mkdir()
        table = pa.table({"image": [png(1), png(2)], "latex": [name, "x"]})
        pq.write_table(table, root / name / "test.parquet")
    (root / "params.yaml").write_text("register: {name: toy}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{root / 'mlflow.db'}")
        patch.delenv("HMER_PARENT_RUN", raising=False)
        yield root


def asks(project: Path, seed: int, exprate: float, data: str = "test-a") -> Candidate:
    metrics = project / "evaluation.json"
    metrics.write_text(json.dumps({"test": {"exprate": exprate}, "val": {"exprate": 1.0}}))
    return candidate(project / f"model-{seed}", project / data, metrics, "auto")


def registered(project: Path, found: Candidate, **settings: object) -> Registration:
    config = RegisterConfig.model_validate({"name": "toy", **settings})
    stage = Stage("register", project, Declaration("register", (), (), ()))
    with stage_run(stage, {}) as tracker:
        done = register(config, found, tracker, ROOT)
        aliases = {
            alias: None if version is None else int(version.version)
            for alias in ("champion", "challenger")
            for version in [version_of(tracker.client, "toy", alias)]
        }
    assert aliases[done.decision] == done.version
    return done


def test_a_history_of_registrations(project: Path) -> None:
    """One story, because each step needs the registry that the one before has left."""
    first = registered(project, asks(project, 1, 40.0))
    assert (first.version, first.decision) == (1, "champion")
    assert first.report()["champion_before"] is None

    # Again: nothing happens, and the report is the same to the byte.
    again = registered(project, asks(project, 1, 40.0))
    assert again.report() == first.report()

    worse = registered(project, asks(project, 2, 39.0))
    assert (worse.version, worse.decision) == (2, "challenger")
    assert worse.report()["champion_before"] == {
        "version": 1,
        "exprate": 40.0,
        "same_data": True,
    }

    elsewhere = registered(project, asks(project, 2, 99.0, "test-b"))
    assert (elsewhere.version, elsewhere.decision) == (3, "challenger")

    better = registered(project, asks(project, 3, 41.0))
    assert (better.version, better.decision) == (4, "champion")
    export(project / "model-3", project)
    assert registered(project, asks(project, 3, 41.0)).report() == better.report()

    # The old champion asks again: it is judged anew, as the version it is.
    back = registered(project, asks(project, 1, 40.0))
    assert (back.version, back.decision) == (1, "challenger")

    # What serves requests: no pickle, code and weights from the registry alone.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false"}
    ink = b'<ink xmlns="http://www.w3.org/2003/InkML"><trace id="0">0 0, 9 9, 20 3</trace></ink>'
    images = [png(1), b"nonsense", ink]
    done = subprocess.run(
        [sys.executable, "-c", LOAD],
        cwd=project,
        env=environment,
        input=json.dumps([base64.b64encode(image).decode() for image in images]),
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert "mlruns" in told["code"]
    good, bad, written = told["answers"]
    assert good["error"] == "" and 0 <= good["confidence"] <= 1
    assert bad["latex"] == "" and bad["error"]
    assert written["error"] == ""

    from hmer.recognizer import Recognizer

    here = Recognizer.load(project / FOLDER).recognize(png(1))
    assert good["latex"] == here.latex
    assert np.isclose(good["confidence"], here.confidence)

    # A new clone gets the champion's plain files from the registry.
    before = (project / FOLDER / "model.safetensors").read_bytes()
    (project / FOLDER / "model.safetensors").unlink()
    assert fetch(project) == project / FOLDER
    assert (project / FOLDER / "model.safetensors").read_bytes() == before


def test_no_pickle_in_the_registry(project: Path) -> None:
    kept = [path for path in (project / "mlruns").rglob("*") if path.is_file()]
    assert any(path.name == "model.safetensors" for path in kept)
    assert not [path for path in kept if path.suffix in {".pkl", ".pickle", ".pt", ".ckpt"}]


def test_no_champion_yet(project: Path, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text("register: {name: nobody}")
    with pytest.raises(HmerError, match="the registry has no champion of nobody"):
        fetch(tmp_path)


def test_requirements_are_what_serving_imports() -> None:
    found = {line.partition("==")[0] for line in requirements(ROOT)}
    assert {"torch", "numpy", "pillow", "safetensors", "pydantic", "mlflow", "pandas"} <= {
        name.lower() for name in found
    }
    assert not found & {"dvc", "prefect", "great_expectations", "lightning"}


def test_served_code_is_enough_and_no_more(tmp_path: Path) -> None:
    with served_code(ROOT) as code:
        assert (code / "recognizer.py").is_file()
        assert not (code / "synthesis").exists()
        done = subprocess.run(
            [sys.executable, "-c", "import hmer.recognizer as r; print(r.__file__)"],
            cwd=code.parent,
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout.strip() == str(code / "recognizer.py")


@pytest.mark.parametrize(
    ("split", "tests", "wanted"),
    [
        ("auto", ("test-2014", "test-2016"), "there are: test-2014, test-2016; name one"),
        ("test-2019", ("test-2014",), "'test-2019': no such test set; there are: test-2014"),
        ("auto", (), "there are: none"),
        ("auto", ("test-x",), "evaluation.json has no ExpRate of test-x"),
    ],
)
def test_which_test_set_decides(
    project: Path, tmp_path: Path, split: str, tests: tuple[str, ...], wanted: str
) -> None:
    for name in tests:
        (tmp_path / f"{name}.parquet").write_bytes(b"")
    (tmp_path / "evaluation.json").write_text("{}")
    with pytest.raises(HmerError) as caught:
        candidate(project / "model-1", tmp_path, tmp_path / "evaluation.json", split)
    assert wanted in str(caught.value)


def test_a_candidate_is_known_by_its_bytes(project: Path) -> None:
    one, two = asks(project, 1, 1.0), asks(project, 2, 1.0)
    assert one.weights != two.weights
    assert one.score == two.score == Score(1.0, one.score.data)
    assert replace(one, model=two.model).weights == one.weights
    assert one.score.data != asks(project, 1, 1.0, "test-b").score.data
