"""Against an HTTP/2 server over TLS: nginx itself, with a certificate of its own."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any


def make_certificate(folder: Path) -> None:
    command = [
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
        "-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)


def test_in_nginx(go_nginx: Any, port: int, tmp_path: Path) -> None:
    make_certificate(tmp_path)
    cfg = {"url": f"https://127.0.0.1:{port}", "ca": str(tmp_path / "cert.pem")}
    peer = f"""
        server {{
            listen 127.0.0.1:{port} ssl http2;
            ssl_certificate {tmp_path}/cert.pem;
            ssl_certificate_key {tmp_path}/key.pem;
            location / {{ return 200 "$request_method $server_protocol"; }}
            location /missing {{ return 404 "nothing here"; }}
        }}
    """
    client = go_nginx("http2", json.dumps(cfg), http=peer)
    assert client.call("get", "/any") == [True, "GET HTTP/2.0"]
    assert client.call("post", "body") == [True, "POST HTTP/2.0"]
    assert client.call("get", "/missing") == [False, 404, "nothing here"]
