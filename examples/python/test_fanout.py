from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Iterator

import fanout
import pytest
from resty_ffi.testing import Runtime

TOGETHER = threading.Barrier(2)


class Prices(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        article = self.path.rpartition("/")[2]
        if article in ("one", "other"):
            TOGETHER.wait(20)  # each waits for the other
        self.send_response(404 if article == "nothing" else 200)
        self.end_headers()
        self.wfile.write(json.dumps(len(article)).encode())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def cfg() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Prices)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield json.dumps({"base": f"http://127.0.0.1:{server.server_port}"})
    server.shutdown()
    thread.join()
    server.server_close()


def test_all_are_asked_at_the_same_time(cfg: str) -> None:
    with Runtime(fanout.init, cfg, timeout=20) as rt:
        assert json.loads(rt.prices('["one", "other"]') or b"") == {"one": 3, "other": 5}


def test_failure_of_one_leaves_the_others(cfg: str) -> None:
    with Runtime(fanout.init, cfg) as rt:
        assert json.loads(rt.prices('["tea", "nothing"]') or b"") == {"tea": 3, "nothing": None}


def test_in_nginx(resty_ffi_nginx: Any, cfg: str) -> None:
    shop = resty_ffi_nginx("fanout:init", cfg=cfg, folder=Path(__file__).parent)
    assert shop.post("/prices", '["one", "other"]').json() == {"one": 3, "other": 5}
