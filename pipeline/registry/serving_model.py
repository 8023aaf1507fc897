"""The registered model: MLflow runs this file in place of unpickling an object.

Input: a column `image` with the bytes of a PNG, JPEG or InkML file (base64 in JSON requests).
Output: `latex`, `confidence` (0 to 1), and `error`, which is empty where recognition succeeded.
The search is that of the evaluation, kept with the model (`model_config`).
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext


class ServedRecognizer(PythonModel):
    """Answers for a table of images; one that cannot be read does not spoil the others."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the weights that were registered with this file."""
        from hmer.decoding.bidirectional import DecodingConfig
        from hmer.recognizer import Recognizer

        self.decoding = DecodingConfig(**(context.model_config or {}).get("decoding", {}))
        self.recognizer = Recognizer.load(Path(context.artifacts["model"]))

    def predict(
        self,
        context: PythonModelContext,
        model_input: pd.DataFrame,
        params: dict[str, Any] | None = None,
    ) -> pd.DataFrame:
        """Recognise each row."""
        answers = [self._answer(data) for data in model_input["image"]]
        return pd.DataFrame(answers, columns=["latex", "confidence", "error"])

    def _answer(self, data: bytes | str) -> tuple[str, float, str]:
        from hmer.errors import HmerError

        try:
            found = self.recognizer.recognize(decoded(data), self.decoding)
        except HmerError as error:
            return "", 0.0, str(error)
        return found.latex, float(found.confidence), ""


def decoded(data: bytes | str) -> bytes:
    """A file, also where it comes as base64: MLflow decodes `dataframe_*`, but not `inputs`."""
    text = data.encode() if isinstance(data, str) else data
    try:
        return base64.b64decode(text, validate=True)  # no file of a format that is read is base64
    except binascii.Error:
        return text


set_model(ServedRecognizer())
