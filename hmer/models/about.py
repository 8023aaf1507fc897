"""What the JSON file of a model folder says; read without PyTorch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import exp, inf, log
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from hmer.errors import HmerError
from hmer.ink.render import RenderConfig
from hmer.latex.vocabulary import Vocabulary


class Calibration(NamedTuple):
    """Confidence from the probability p of n tokens, and the share q of it among the n-best.

    1 / (1 + (-log p / scale / n^length)^slope * (1 / q - 1)^rivals): a logistic regression (Platt,
    1999) on the logarithms of -log p, n and the odds against q, which keeps 1 at 1 and 0 at 0. Long
    readings of the same probability are more often right than short ones, and so are those without
    a near rival.
    """

    scale: float
    """-log p at which half of the readings of one token are right that have a share of a half."""
    slope: float
    length: float = 0.0
    rivals: float = 0.0

    def confidence(self, probability: float, tokens: int, share: float = 1.0) -> float:
        """How often readings of this probability, length and share are right."""
        if not 0 < probability < 1:
            return float(probability)
        half = self.scale * max(tokens, 1) ** self.length
        odds: float = (-log(probability) / half) ** self.slope
        return 1 / (1 + odds * exp(min(self.rivals * rival_odds(share), 300.0)))


LEAST_RIVAL = 1e-6
"""Of what the n-best have between them: a reading without rivals is as if it had this one."""


def rival_odds(share: float) -> float:
    """Log-odds against a reading that has this share of its n-best list's probability."""
    rest = max(1.0 - share, LEAST_RIVAL)
    return log(rest / max(1.0 - rest, 1e-300))


class About(NamedTuple):
    """How a recogniser reads, whatever computes it."""

    vocabulary: Vocabulary
    trained: RenderConfig
    """How ink was drawn in its training."""
    render: RenderConfig
    """How it reads: the same, but for the scale if it reads better at another."""
    calibration: Calibration | None = None
    """What is reported as confidence; None: the probability itself."""
    unwritten: tuple[str, ...] = ()
    """Tokens that it knows from its training data, and never writes."""

    @classmethod
    def of(cls, about: Mapping[str, Any]) -> About:
        """From what the JSON file says.

        Raises:
            KeyError, ValidationError, HmerError: it is not that of a recogniser.
        """
        trained = RenderConfig.model_validate(about["render"])
        unit = about.get("reading_unit", trained.unit)
        words = Vocabulary.from_json(json.dumps(about["vocabulary"]))
        unwritten = about.get("unwritten", [])
        if not isinstance(unwritten, list) or words.unknown(map(str, unwritten)):
            raise HmerError(f"unwritten lists tokens of the vocabulary, not {unwritten!r}")
        return cls(
            words,
            trained,
            RenderConfig.model_validate({**trained.model_dump(), "unit": unit}),
            _calibration(about.get("calibration")),
            tuple(unwritten),
        )

    def settings(self) -> dict[str, Any]:
        """What a JSON file says of how it reads, apart from vocabulary and drawing."""
        return {
            **({"calibration": self.calibration._asdict()} if self.calibration else {}),
            **({"unwritten": list(self.unwritten)} if self.unwritten else {}),
        }


def _calibration(found: Any) -> Calibration | None:
    """Raises HmerError where it is none."""
    if found is None:
        return None
    try:
        scale, slope = float(found["scale"]), float(found["slope"])
        length, rivals = (float(found.get(name, 0.0)) for name in ("length", "rivals"))
    except (AttributeError, KeyError, TypeError, ValueError):
        scale = slope = length = rivals = 0.0
    if not (0 < scale < inf and 0 < slope <= 100 and -10 <= length <= 10 and 0 <= rivals <= 10):
        raise HmerError(f"calibration has a scale and a slope, both above 0, not {found!r}")
    return Calibration(scale, slope, length, rivals)


def weights_file(path: Path) -> Path:
    """The weights in a model folder; a file is taken as it is."""
    return path / "model.safetensors" if path.is_dir() else path


@contextmanager
def told_of(path: Path, remedy: str = "train the model again") -> Iterator[None]:
    """Around the reading of a model's files: whatever fails is told of `path`, in one line.

    They come from anywhere, and a damaged file makes JSON, pydantic, safetensors, onnxruntime or
    the building of the network fail in ways of their own.

    Raises:
        HmerError: as raised inside, or in place of any other exception.
    """
    try:
        yield
    except HmerError:
        raise
    except OSError as error:
        raise HmerError(f"{path}: cannot be read ({error.strerror or error})") from error
    except RecursionError as error:
        raise HmerError(f"{path}: damaged (nested too deep); {remedy}") from error
    except Exception as error:
        lines = str(error).strip().splitlines() or [""]
        reason = f"{type(error).__name__}: {lines[-1].strip()[:200]}"
        raise HmerError(f"{path}: damaged, or of another version ({reason}); {remedy}") from error


def read_about(path: Path) -> dict[str, Any]:
    """What the JSON file beside `path` says. Raises HmerError: it is missing or is not JSON."""
    sidecar = path.with_suffix(".json")
    with told_of(sidecar):
        try:
            about = json.loads(sidecar.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise HmerError(f"{sidecar}: missing; name the folder of a trained model") from None
        except ValueError as error:
            raise HmerError(f"{sidecar}: not valid JSON ({error}); train the model again") from None
    if not isinstance(about, dict):
        raise HmerError(f"{sidecar}: should hold a JSON object; train the model again")
    return about


def reason_of(error: Exception) -> str:
    """What is wrong with a model's description, in one line."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return f"no {error}" if isinstance(error, KeyError) else str(error)
