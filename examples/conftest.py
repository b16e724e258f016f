"""Under AddressSanitizer only t/ is tested: an nginx of these has no libasan."""

from __future__ import annotations

import os
from typing import Any


def pytest_ignore_collect(collection_path: Any) -> bool | None:
    return True if os.environ.get("RESTY_FFI_ASAN") == "1" else None
