"""Asks locations of a running nginx, over TCP or a unix socket, for JSON."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any
from urllib.parse import urlencode, urlsplit


class EndpointError(Exception):
    """There is no answer to be had; the message says why."""


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def ask(
    method: str, url: str, arguments: dict[str, str], timeout: float
) -> tuple[int, dict[str, Any] | None]:
    """Returns the status and what the answer's JSON says, None if it is no object.

    url is http://, https:// or, for a socket, unix:PATH:/LOCATION; arguments are
    added to it. Blocks for timeout seconds. Raises EndpointError.
    """
    try:
        connection, path = _connection(url, timeout)
    except (http.client.InvalidURL, ValueError) as error:
        raise EndpointError(str(error)) from error
    try:
        connection.request(method, f"{path}?{urlencode(arguments)}")
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise EndpointError(str(error) or type(error).__name__) from error
    finally:
        connection.close()
    try:
        answer = json.loads(body)
    except ValueError:
        answer = None
    return response.status, answer if isinstance(answer, dict) else None


def _connection(url: str, timeout: float) -> tuple[http.client.HTTPConnection, str]:
    if url.startswith("unix:"):
        path, _, location = url[len("unix:") :].partition(":")
        return _UnixConnection(path, timeout), location or "/"
    parts = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if parts.scheme not in kinds or not parts.netloc:
        raise EndpointError("a URL is http://..., https://... or unix:/socket:/location")
    return kinds[parts.scheme](parts.netloc, timeout=timeout), parts.path or "/"
