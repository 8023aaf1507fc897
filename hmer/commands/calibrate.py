"""`hmer calibrate`: fit the confidence of a model on sets that it was not trained on."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from hmer.errors import HmerError


def calibrate(
    dataset: Annotated[Path, typer.Argument(help="Folder of a data set, as ingest makes it.")],
    model: Annotated[
        Path, typer.Option(help="Folder of the model; `calibration` in its model.json is written.")
    ],
    sets: Annotated[
        str,
        typer.Option(help="Splits, with commas between; by default all development sets and val."),
    ] = "",
    beam: Annotated[int, typer.Option(min=1, max=100, help="Hypotheses per direction.")] = 10,
) -> None:
    """Fit on development sets, and on those captions of val that train lacks; print the ECE.

    Test sets are refused: what is fitted on them says nothing of them.
    """
    import numpy as np

    from hmer.data.batches import BatchConfig
    from hmer.data.dataset import load_expressions
    from hmer.data.drawing import drawn_at
    from hmer.decoding.bidirectional import DecodingConfig
    from hmer.evaluation.breakdown import read_captions
    from hmer.evaluation.calibration import fit_calibration, reliability
    from hmer.evaluation.reading import read_all
    from hmer.files import atomic_file
    from hmer.ingest.summary import stored_render
    from hmer.models.about import weights_file
    from hmer.progress import Steps
    from hmer.recognizer import Recognizer

    about = weights_file(model).with_suffix(".json")
    names = sets.split(",") if sets else [f.stem for f in sorted(dataset.glob("dev-*.parquet"))]
    if not sets:
        names.append("val")
    for name in names:
        if name == "train" or name.startswith("test"):
            kind = "trained on" if name == "train" else "a test set"
            raise HmerError(f"--sets: {name} is {kind}; calibrate on dev-... or val")
    recognizer = Recognizer.load(model)
    known = read_captions(dataset / "train.parquet")
    images, truths = [], []
    for name in names:
        split = load_expressions(dataset / f"{name}.parquet")
        split = drawn_at(split, recognizer.render, stored_render(dataset))
        for number, tokens in enumerate(map(tuple, split.tokens)):
            if name != "val" or tokens not in known:
                images.append(split.image(number))
                truths.append(tokens)
    if not truths:
        raise HmerError(f"{dataset}: {', '.join(names)} has no new expression to calibrate on")
    batch = BatchConfig(max_pixels=400_000, max_count=32)
    with Steps("read", len(images), unit=" expressions") as steps:
        readings = read_all(recognizer, images, DecodingConfig(beam=beam), batch, steps.advance)
    answers = np.array([r.tokens == truth for r, truth in zip(readings, truths, strict=True)])
    chances = np.array([max(reading.probability, 1e-300) for reading in readings])
    shares = np.array([reading.share for reading in readings])
    lengths = np.array([len(reading.tokens) for reading in readings])
    fitted = fit_calibration(np.log(chances), lengths, shares, answers)
    sure = np.array([fitted.confidence(*one) for one in zip(chances, lengths, shares, strict=True)])
    told = json.loads(about.read_text(encoding="utf-8"))
    text = json.dumps({**told, "calibration": fitted._asdict()}, indent=2, sort_keys=True)
    with atomic_file(about) as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(
        f"{about}: {len(answers)} readings of {', '.join(names)}, {100 * answers.mean():.1f} % "
        f"right, ECE {100 * reliability(sure, answers).ece:.1f} %; "
        f"scale {fitted.scale:.4g}, slope {fitted.slope:.4g}, length {fitted.length:.4g}, "
        f"rivals {fitted.rivals:.4g}\n"
    )
