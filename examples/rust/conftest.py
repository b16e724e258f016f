"""An nginx with the examples, checked up on as those of t/ are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

PROJECT = Path(__file__).parents[2]
RELEASE = PROJECT / "build" / "rust" / "release"

sys.path.append(str(PROJECT / "t"))

from harness import health  # noqa: E402
from harness.config import Config  # noqa: E402
from harness.server import Server  # noqa: E402


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of what make examples-rust builds."""
    subprocess.run(["make", "--silent", "examples-rust"], cwd=PROJECT, check=True)
    return RELEASE


@pytest.fixture
def server(built: Path) -> Iterator[Callable[..., Server]]:
    """Starts nginx: server(lua="...") and more, see harness.config.Config."""
    servers: list[Server] = []

    def start(**options: Any) -> Server:
        servers.append(Server(Config(library_path=[built], **options)))
        servers[-1].start()
        return servers[-1]

    yield start
    for made in servers:
        try:
            health.check_up(made)
        finally:
            made.close()
        made.remove()
