"""A Kafka broker of a test's own: one node, its files in a temporary folder."""

from __future__ import annotations

import fcntl
import socket
import subprocess
import time
from pathlib import Path

_HERE = Path(__file__).parent
_JARS = _HERE.parent.parent / "build" / "kafka"

_NAME = "MkU3OEVBNTcwNTJENDM2Qk"
"""Of the cluster: any 16 bytes in base64."""

_DEADLINE = 60.0

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""


class Broker:
    """Started when the with block is entered."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "broker.log"
        self._port, controller = _free_ports(2)
        self._properties = folder / "server.properties"
        self._properties.write_text(
            _PROPERTIES.format(folder=folder, port=self._port, controller=controller)
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def __enter__(self) -> Broker:
        _fetch()
        formatting = ["kafka.tools.StorageTool", "format", "-t", _NAME, "-c"]
        with self._log.open("wb") as log:
            subprocess.run(self._java(*formatting), check=True, stdout=log, stderr=log)
            self._process = subprocess.Popen(self._java("kafka.Kafka"), stdout=log, stderr=log)
        self._wait()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.kill()
        self._process.wait()

    def _java(self, *command: str) -> list[str]:
        options = ["-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", f"{_JARS}/*"]
        return ["java", *options, *command, str(self._properties)]

    def _wait(self) -> None:
        deadline = time.monotonic() + _DEADLINE
        while "Kafka Server started" not in self._log.read_text(errors="replace"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self._process.kill()
                raise RuntimeError(f"the broker does not start:\n{self._log.read_text()[-4000:]}")
            time.sleep(0.05)


def _fetch() -> None:
    """Once for all tests: they run at the same time."""
    _JARS.parent.mkdir(exist_ok=True)
    with _JARS.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (_JARS / "done").exists():
            return
        copying = ["mvn", "-q", "-B", "-f", str(_HERE / "broker"), "dependency:copy-dependencies"]
        subprocess.run([*copying, f"-DoutputDirectory={_JARS}"], check=True)
        (_JARS / "done").touch()


def _free_ports(number: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    try:
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()
