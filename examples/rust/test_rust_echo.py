from __future__ import annotations

from typing import Any


def test_request_comes_back(rust_server: Any) -> None:
    nginx = rust_server(lua='return ngx.load_ffi("echo", "4"):echo("hello")')
    assert nginx.values() == [True, "hello"]


def test_configuration_that_is_no_number_is_refused(rust_server: Any) -> None:
    nginx = rust_server(lua='return ngx.load_ffi("echo", "many")')
    assert nginx.values() == [None, "invalid digit found in string"]
