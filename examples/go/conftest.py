"""The fixture go_nginx: an nginx that calls a library of these folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterator
from urllib.parse import urlencode

import pytest
from harness import go

HERE = Path(__file__).parent

LUA = {
    "/": """
        ngx.req.read_body()
        return rt[args.method](rt, ngx.req.get_body_data())
    """,
    "/unload": "return rt:__unload(10)",
}

PRELUDE = """
    local args = ngx.req.get_uri_args()
    local rt = assert(ngx.load_ffi(args.library, args.cfg))
"""

HTTP = "client_body_buffer_size 1m;"


class Library:
    """A library with one configuration in an nginx of its own."""

    def __init__(self, name: str, cfg: str | None, server: Any) -> None:
        self._name = name
        self._cfg = cfg
        self._server = server

    def call(self, method: str, request: str | None = None) -> Any:
        """What Lua gets."""
        return self._ask("/", (request or "").encode(), method=method)

    def unload(self) -> None:
        """Returns when everything has ended."""
        assert self._ask("/unload") == [True]

    def _ask(self, path: str, request: bytes = b"", **args: str) -> Any:
        args["library"] = self._name
        if self._cfg is not None:
            args["cfg"] = self._cfg
        answer = self._server.post(f"{path}?{urlencode(args)}", data=request)
        assert answer.status_code == 200, self._server.log.tail()
        return answer.json()


@pytest.fixture
def go_nginx(server: Callable[..., Any], tmp_path: Path) -> Iterator[Callable[..., Library]]:
    """go_nginx("echo", cfg) builds examples/go/echo; options are those of
    t/harness/config.py."""
    libraries: list[Library] = []

    def start(name: str, cfg: str | None = None, **options: Any) -> Library:
        go.build(HERE / name, tmp_path / f"lib{name}.so")
        options.setdefault("http", HTTP)
        nginx = server(lua=LUA, prelude=PRELUDE, library_path=[tmp_path], **options)
        libraries.append(Library(name, cfg, nginx))
        return libraries[-1]

    yield start

    for library in libraries:
        library.unload()
