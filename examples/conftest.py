"""An nginx for the examples that are libraries; Python's have one in the package.

Under AddressSanitizer only t/ is tested: an nginx of these has no libasan.
"""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

PROJECT = Path(__file__).parents[1]

sys.path.append(str(PROJECT / "t"))

from harness import health  # noqa: E402
from harness.config import Config  # noqa: E402
from harness.port import Port  # noqa: E402
from harness.server import Server  # noqa: E402


def pytest_ignore_collect(collection_path: Any) -> bool | None:
    return True if os.environ.get("RESTY_FFI_ASAN") == "1" else None


@pytest.fixture
def server() -> Iterator[Callable[..., Server]]:
    """Starts nginx: server(lua="...") and more, see harness.config.Config. It is
    checked up on as those of t/ are."""
    servers: list[Server] = []

    def start(**options: Any) -> Server:
        servers.append(Server(Config(**options)))
        servers[-1].start()
        return servers[-1]

    yield start
    for made in servers:
        try:
            health.check_up(made)
        finally:
            made.close()
        made.remove()


@pytest.fixture
def port() -> Iterator[int]:
    """A port for a server of the test's own."""
    reserved = Port()
    yield reserved.number
    reserved.release()


@pytest.fixture(scope="session")
def rust_examples() -> Path:
    """The folder of what make examples-rust builds."""
    subprocess.run(["make", "--silent", "examples-rust"], cwd=PROJECT, check=True)
    return PROJECT / "build" / "rust" / "release"


@pytest.fixture
def rust_server(server: Callable[..., Server], rust_examples: Path) -> Callable[..., Server]:
    return partial(server, library_path=[rust_examples])
