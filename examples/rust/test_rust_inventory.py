from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Any, Iterator

import pytest
from harness.wait import wait_for

NOT_FOUND = 5
UNAVAILABLE = 14

LUA = """
    local args = ngx.req.get_uri_args()
    local rt = ngx.load_ffi("inventory", "http://127.0.0.1:" .. args.port)
    return rt:stock(args.item, {timeout = tonumber(args.timeout)})
"""


@pytest.fixture
def inventory(rust_examples: Path, port: int) -> Iterator[int]:
    """The port of a gRPC server."""
    process = subprocess.Popen([rust_examples / "inventory_server", str(port)])
    try:
        wait_for(lambda: answers(port))
        yield port
    finally:
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_server_is_asked(rust_server: Any, inventory: int) -> None:
    nginx = rust_server(lua=LUA)
    for _ in range(3):
        assert nginx.values(f"/?port={inventory}&item=apples") == [True, "42"]


def test_error_has_the_code_and_message_of_the_server(rust_server: Any, inventory: int) -> None:
    answer = rust_server(lua=LUA).values(f"/?port={inventory}&item=pears")
    assert answer == [False, NOT_FOUND, "no pears"]


def test_call_that_takes_too_long_holds_up_no_other(rust_server: Any, inventory: int) -> None:
    nginx = rust_server(lua=LUA)
    slow = nginx.begin(f"/?port={inventory}&item=nails&timeout=1")
    assert nginx.values(f"/?port={inventory}&item=apples") == [True, "42"]
    assert slow.result()[0] is False


def test_server_that_is_not_there_is_unavailable(rust_server: Any, port: int) -> None:
    assert rust_server(lua=LUA).values(f"/?port={port}&item=apples")[:2] == [False, UNAVAILABLE]
