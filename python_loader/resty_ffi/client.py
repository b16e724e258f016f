"""HTTP for tests, of the standard library alone."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any, Mapping
from urllib.parse import urlsplit

from .server import Server

TIMEOUT = 60.0


@dataclass(frozen=True)
class Response:
    status: int
    headers: Mapping[str, str]
    """Their names in lower case."""
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Asks one server, on a connection for each request. Any thread."""

    def __init__(self, server: Server) -> None:
        self.server = server
        """To be reloaded, or looked into."""

    @property
    def url(self) -> str:
        return self.server.url

    def request(
        self,
        method: str,
        path: str = "/",
        body: bytes | str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Raises OSError and http.client.HTTPException."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=TIMEOUT)
        try:
            data = body.encode() if isinstance(body, str) else body
            connection.request(method, path, data, dict(headers or {}))
            answer = connection.getresponse()
            names = {name.lower(): value for name, value in answer.getheaders()}
            return Response(answer.status, names, answer.read())
        finally:
            connection.close()

    def get(self, path: str = "/", headers: Mapping[str, str] | None = None) -> Response:
        return self.request("GET", path, None, headers)

    def post(
        self,
        path: str = "/",
        body: bytes | str = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        return self.request("POST", path, body, headers)
