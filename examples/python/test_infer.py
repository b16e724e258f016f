from __future__ import annotations

from pathlib import Path
from typing import Any

import infer
import numpy as np
import pytest
from resty_ffi import Error
from resty_ffi.testing import Runtime


@pytest.fixture
def model(tmp_path: Path) -> str:
    path = tmp_path / "model.npz"
    np.savez(path, weights=np.eye(2, dtype=np.float32), labels=["left", "right"])
    return str(path)


def test_json_and_bytes_are_the_same(model: str) -> None:
    rows = np.array([[1, 0], [0, 1]], dtype=np.float32)
    with Runtime(infer.init, model) as rt:
        assert rt.classify("[[1, 0], [0, 1]]") == b'["left", "right"]'
        assert rt.classify(rows.tobytes()) == b'["left", "right"]'


@pytest.mark.parametrize("request_", ["[[1], [2], [3]]", "[[1, 2], [3]]", "xyz", '["a", "b"]'])
def test_other_input_is_refused(model: str, request_: str) -> None:
    with Runtime(infer.init, model) as rt, pytest.raises(Error) as refused:
        rt.classify(request_)
    assert refused.value.rc == 400


def test_in_nginx(resty_ffi_nginx: Any, model: str) -> None:
    server = resty_ffi_nginx("infer:init", cfg=model, folder=Path(__file__).parent)
    assert server.post("/classify", "[[0, 7]]").json() == ["right"]
