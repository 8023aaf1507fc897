"""`hmer average`: the weighted mean of the weights of several recognisers."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hmer.commands.output import check_folder
from hmer.errors import HmerError

if TYPE_CHECKING:
    from torch import Tensor

    from hmer.latex.vocabulary import Vocabulary


def average(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="FOLDER=WEIGHT...",
            help="Model folders of one architecture and vocabulary, or states of a training "
            "(last.ckpt), of which the averaged weights are taken.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder to write; one that is there is replaced.")],
    lone_symbols: Annotated[
        int,
        typer.Option(
            min=0,
            help="Fit a classifier of single symbols to the mean, on so many written with the "
            "glyphs of --dataset; 0: none.",
        ),
    ] = 0,
    dataset: Annotated[
        Path | None, typer.Option(help="Folder of the data set that they were trained on.")
    ] = None,
) -> None:
    """Average the weights of recognisers that have a training in common, each tensor by itself.

    Such a mean often reads better than each of them (Wortsman et al., 2022, "Model soups"). How it
    reads is said by the first one, which is a model folder (a weight of 0 takes no more than that
    from it); fit its confidence with `hmer calibrate`. A classifier of single symbols, which is
    fitted to the outcome of a training, is not averaged.
    """
    from hmer.export.runtime import SECTION
    from hmer.files import atomic_folder
    from hmer.models.about import read_about, weights_file
    from hmer.models.checkpoint import load_recogniser, save_module
    from hmer.training.fit import CHECKPOINT
    from hmer.training.lone_symbol import fit_lone_symbols
    from hmer.training.warm_start import learnt

    check_folder(out, "--out")
    if out.is_dir() and any(out.iterdir()) and not weights_file(out).is_file():
        raise HmerError(f"--out: {out} holds other files than a model; name a new folder")
    folders, shares = zip(*(_part(one) for one in models), strict=True)
    if bool(lone_symbols) != (dataset is not None):
        raise HmerError("--lone-symbols and --dataset go together: give both, or neither")
    if not math.fsum(shares):
        raise HmerError("the weights are all 0; give one at least that is above")
    if not weights_file(folders[0]).is_file() and (folders[0] / CHECKPOINT).is_file():
        raise HmerError(f"{folders[0]}: a state of a training; name a model folder first")
    first = load_recogniser(folders[0])
    model = first.model
    mean = {name: value.double() * shares[0] for name, value in learnt(model).items()}
    for folder, share in zip(folders[1:], shares[1:], strict=True):
        words, state = _weights(folder)
        if words.tokens != first.reads.vocabulary.tokens:
            raise HmerError(f"{folder}: has another vocabulary than {folders[0]}")
        lacking = [n for n, v in mean.items() if n not in state or state[n].shape != v.shape]
        if lacking:
            raise HmerError(
                f"{folder}: {lacking[0]} is missing or of another size than in {folders[0]}; only "
                "recognisers of one architecture can be averaged"
            )
        for name, value in mean.items():
            value += share * state[name].double()
    model.load_state_dict({name: value / math.fsum(shares) for name, value in mean.items()})
    if dataset is not None:
        reads = first.reads
        fit_lone_symbols(model, dataset, reads.vocabulary, reads.render, lone_symbols, seed=0)
    told = read_about(weights_file(folders[0]))
    left_out = ("sha256", "start", "calibration", SECTION)
    about = {key: value for key, value in told.items() if key not in left_out}
    with atomic_folder(out) as folder:
        save_module(model, folder / "model.safetensors", about)


def _part(argument: str) -> tuple[Path, float]:
    """A folder and its weight."""
    folder, _, weight = argument.rpartition("=")
    try:
        share = float(weight)
    except ValueError:
        share = math.nan
    if not folder or not 0 <= share < math.inf:
        raise HmerError(f"{argument}: give a folder, =, and its weight, as in models/a=0.6")
    return Path(folder), share


def _weights(folder: Path) -> tuple[Vocabulary, dict[str, Tensor]]:
    """The vocabulary and the weights of a recogniser, or of a training state."""
    from hmer.latex.vocabulary import Vocabulary
    from hmer.models.checkpoint import load_recogniser
    from hmer.training.fit import CHECKPOINT
    from hmer.training.warm_start import averaged, learnt, read_state

    state = folder / CHECKPOINT
    if state.is_file():
        return Vocabulary.from_json(read_state(state)["vocabulary"]), averaged(state)
    saved = load_recogniser(folder)
    return saved.reads.vocabulary, learnt(saved.model)
