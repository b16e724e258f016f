"""resty-ffi reload: has a running nginx reload what it runs of a library."""

from __future__ import annotations

import http.client
import json
import socket
import sys
from typing import Any
from urllib.parse import urlencode, urlsplit

DEFAULT_URL = "http://127.0.0.1/ffi/reload"

_TIMEOUT = 150.0
"""Longer than nginx waits for its workers."""


class ReloadError(Exception):
    """There is no answer to be had; the message says why."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def main(library: str, cfg: str | None, url: str) -> int:
    """Prints a line for each runtime; 0 when all of them run fresh code. url is
    that of the location with serve_reload(): http://, https:// or, for a socket,
    unix:PATH:/LOCATION."""
    arguments = {"library": library} if cfg is None else {"library": library, "cfg": cfg}
    try:
        status, answer = _post(url, urlencode(arguments))
    except ReloadError as error:
        return _fail(f"{url}: {error}")
    if "error" in answer:
        return _fail(answer["error"])

    for worker in answer["workers"]:
        _print_worker(worker)
    if status == http.client.NOT_FOUND:
        return _fail(f"no worker runs {library}" + ("" if cfg is None else f" with {cfg!r}"))
    return 0 if status == http.client.OK else 1


def _post(url: str, query: str) -> tuple[int, Any]:
    connection, path = _connection(url)
    try:
        connection.request("POST", f"{path}?{query}")
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise ReloadError(str(error) or type(error).__name__) from error
    finally:
        connection.close()
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or not {"error", "workers"} & set(answer):
        raise ReloadError(
            f"HTTP {response.status}, but not from resty-ffi: the location needs "
            'content_by_lua_block { require("resty.ffi").serve_reload() }'
        )
    return response.status, answer


def _connection(url: str) -> tuple[http.client.HTTPConnection, str]:
    if url.startswith("unix:"):
        path, _, location = url[len("unix:") :].partition(":")
        return _UnixConnection(path, _TIMEOUT), location or "/"
    parts = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if parts.scheme not in kinds or not parts.netloc:
        raise ReloadError("a URL is http://..., https://... or unix:/socket:/location")
    return kinds[parts.scheme](parts.netloc, timeout=_TIMEOUT), parts.path or "/"


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
