"""Against a real etcd."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Iterator

import pytest
from harness.port import Port
from harness.wait import wait_for


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    client, peer = Port(), Port()
    urls = [f"http://127.0.0.1:{port.number}" for port in (client, peer)]
    log = tmp_path / "etcd.log"
    command = [
        "etcd", "--name=test", f"--data-dir={tmp_path / 'data'}",
        f"--listen-client-urls={urls[0]}", f"--advertise-client-urls={urls[0]}",
        f"--listen-peer-urls={urls[1]}", f"--initial-advertise-peer-urls={urls[1]}",
        f"--initial-cluster=test={urls[1]}",
    ]  # fmt: skip
    with log.open("wb") as output:
        etcd = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        wait_for(lambda: b"ready to serve client requests" in log.read_bytes())
        yield urls[0]
    finally:
        etcd.terminate()
        etcd.wait()
        client.release()
        peer.release()


def test_in_nginx(go_nginx: Any, endpoint: str) -> None:
    kv = go_nginx("etcd", json.dumps({"endpoints": [endpoint]}))
    assert kv.call("get", "colour") == [True]
    assert kv.call("put", "colour=green") == [True]
    assert kv.call("get", "colour") == [True, "green"]
    assert kv.call("put", "colour") == [False, 400, "put: key=value"]
    with ThreadPoolExecutor() as clients:
        change = clients.submit(kv.call, "watch", "colour")
        # Whoever comes first: the watcher may have to see another change.
        wait_for(lambda: kv.call("put", "colour=blue") == [True] and change.done())
        assert change.result() == [True, "blue"]
    assert kv.call("delete", "colour") == [True]
    assert kv.call("get", "colour") == [True]
