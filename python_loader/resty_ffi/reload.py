"""resty-ffi reload: has a running nginx reload what it runs of a library."""

from __future__ import annotations

import http.client
import sys
from typing import Any

from .endpoint import EndpointError, ask

DEFAULT_URL = "http://127.0.0.1/ffi/reload"

_TIMEOUT = 150.0
"""Longer than nginx waits for its workers."""


def main(library: str, cfg: str | None, url: str) -> int:
    """Prints a line for each runtime; 0 when all of them run fresh code. url is
    that of the location with serve_reload(): http://, https:// or, for a socket,
    unix:PATH:/LOCATION."""
    arguments = {"library": library} if cfg is None else {"library": library, "cfg": cfg}
    try:
        status, answer = _reload(url, arguments)
    except EndpointError as error:
        return _fail(f"{url}: {error}")
    if "error" in answer:
        return _fail(answer["error"])

    for worker in answer["workers"]:
        _print_worker(worker)
    if status == http.client.NOT_FOUND:
        return _fail(f"no worker runs {library}" + ("" if cfg is None else f" with {cfg!r}"))
    return 0 if status == http.client.OK else 1


def _reload(url: str, arguments: dict[str, str]) -> tuple[int, Any]:
    status, answer = ask("POST", url, arguments, _TIMEOUT)
    if answer is None or not {"error", "workers"} & set(answer):
        raise EndpointError(
            f"HTTP {status}, but not from resty-ffi: the location needs "
            'content_by_lua_block { require("resty.ffi").serve_reload() }'
        )
    return status, answer


def _print_worker(worker: Any) -> None:
    who = f"worker {worker['id']} ({worker['pid']})"
    for runtime in worker["runtimes"]:
        error = runtime.get("error")
        said = f"kept {runtime['name']}: {error}" if error else f"reloaded {runtime['name']}"
        print(f"{who}: {said}")
    if not worker["runtimes"]:
        print(f"{who}: {worker['state']}")


def _fail(message: str) -> int:
    print(f"resty-ffi: {message}", file=sys.stderr)
    return 1
