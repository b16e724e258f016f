from __future__ import annotations

from typing import Any, Iterator

import pytest


@pytest.fixture
def nginx(rust_server: Any, port: int) -> Iterator[Any]:
    """It is its own HTTP/2 server, on another port."""
    http = f"""
        server {{
            listen 127.0.0.1:{port} http2;
            location / {{ return 200 "$server_protocol $request_uri on $connection"; }}
            location /missing {{ return 404 "nothing here"; }}
        }}
    """
    load = f'ngx.load_ffi("fetch", "http://127.0.0.1:{port}")'
    lua = {"/": f"return {load}:get(ngx.var.arg_path)", "/unload": f"return {load}:__unload(10)"}
    started = rust_server(http=http, lua=lua)
    yield started
    assert started.values("/unload") == [True]


def test_body_is_fetched_over_one_http2_connection(nginx: Any) -> None:
    answers = [nginx.values(f"/?path=/{i}") for i in range(3)]
    connections = {text.rpartition(" ")[2] for _, text in answers}
    assert [text.rpartition(" on ")[0] for _, text in answers] == [
        "HTTP/2.0 /0",
        "HTTP/2.0 /1",
        "HTTP/2.0 /2",
    ]
    assert len(connections) == 1


def test_status_is_the_number_of_the_error(nginx: Any) -> None:
    assert nginx.values("/?path=/missing") == [False, 404, "nothing here"]
