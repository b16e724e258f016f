"""numpy on a posted array: a small linear classifier."""

from __future__ import annotations

import json

import numpy as np
from resty_ffi import Error, serve


class Classifier:
    def __init__(self, cfg: str) -> None:
        """cfg: the path of an .npz file with "weights" and "labels"."""
        with np.load(cfg) as model:
            self._weights = model["weights"]
            self._labels = [str(label) for label in model["labels"]]

    def classify(self, request: bytes | None) -> str:
        """The label of each row: of a JSON list of rows, or of float32 bytes."""
        rows = self._rows(request or b"")
        best = np.argmax(rows @ self._weights, axis=1)
        return json.dumps([self._labels[number] for number in best])

    def _rows(self, request: bytes) -> np.ndarray:
        width = self._weights.shape[0]
        try:
            if request.startswith(b"["):
                return np.asarray(json.loads(request), dtype=np.float32).reshape(-1, width)
            return np.frombuffer(request, dtype=np.float32).reshape(-1, width)
        except (ValueError, TypeError) as error:
            raise Error(400, f"rows of {width} numbers are needed: {error}") from None


init = serve(Classifier)
