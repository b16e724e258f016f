from __future__ import annotations

from typing import Any


def test_in_nginx(go_nginx: Any) -> None:
    assert go_nginx("echo", "Hello, ").call("greet", "Ada") == [True, "Hello, Ada"]
