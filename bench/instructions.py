"""Instructions of an echo call, as callgrind counts them: hardly any noise, unlike time.

make instructions counts, and keeps what a test compares with.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import requests

BENCH = Path(__file__).parent
sys.path[:0] = [str(BENCH), str(BENCH.parent / "t")]

import ways  # noqa: E402
from harness import library, target  # noqa: E402
from harness.config import Config  # noqa: E402
from harness.server import Server  # noqa: E402
from harness.wait import wait_for  # noqa: E402

KEPT = BENCH / "instructions.json"

WAYS = ("C", "Python")

CALLS = 1000

PATIENCE = 300.0
"""Seconds: all is some fifty times slower."""

OURS = re.compile(r"ngx_http_lua_ffi_module|ffi_python3|_resty_ffi")

_BODY = """
    for _ = 1, tonumber(ngx.var.arg_n) do
        assert(rt:echo("0123456789abcdef"))
    end
    return true
"""


class Counted(Server):
    """An nginx of one process under callgrind."""

    def _command(self, log: Path) -> list[str]:
        valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--separate-threads=yes"]
        return [*valgrind, f"--callgrind-out-file={self.folder}/out", *super()._command(log)]

    def start(self) -> None:
        super().start()
        wait_for((self.folder / "nginx.pid").exists, PATIENCE)

    def ask(self, path: str) -> None:
        answer = requests.get(self.url + path, timeout=PATIENCE)
        assert answer.status_code == 200, self.log.tail()

    def count(self, path: str) -> Counter[str]:
        """What one request costs all threads, by object file."""
        self._control("--instr=on")
        self._control("--zero")
        self.ask(path)
        self._control("--dump")
        self._control("--instr=off")
        return _read(self.folder)

    def _control(self, order: str) -> None:
        command = ["callgrind_control", order, str(self.pid)]
        subprocess.run(command, check=True, capture_output=True)


def count() -> dict[str, dict[str, int]]:
    """Of a call: by our object files, and by all."""
    with _started() as nginx:
        return {way: _count(nginx, way) for way in WAYS}


@contextmanager
def _started() -> Iterator[Counted]:
    with tempfile.TemporaryDirectory(prefix="resty-ffi-count-") as folder:
        library.build("echo", Path(folder))
        server = Counted(
            Config(
                workers=0,
                main="master_process off;",
                lua={f"/{way}": f"local rt = {ways.RUNTIMES[way]} {_BODY}" for way in WAYS},
                library_path=[Path(folder), *target.find().loader_folders()],
                env={"PYTHONPATH": str(BENCH / "apps")},
            )
        )
        try:
            server.start()
            yield server
        finally:
            server.close()
            server.remove()


def _count(nginx: Counted, way: str) -> dict[str, int]:
    """The difference of two requests, which is that of their calls alone."""
    nginx.ask(f"/{way}?n=100")
    few = nginx.count(f"/{way}?n={CALLS}")
    many = nginx.count(f"/{way}?n={2 * CALLS}")
    many.subtract(few)
    ours = sum(n for path, n in many.items() if OURS.search(path))
    return {"ours": ours // CALLS, "all": sum(many.values()) // CALLS}


def _read(folder: Path) -> Counter[str]:
    """The last dump, one file for each thread, which is removed."""
    found: Counter[str] = Counter()
    for path in folder.glob("out.*"):
        found.update(_by_object(path.read_text()))
        path.unlink()
    return found


def _by_object(text: str) -> Counter[str]:
    """Of callgrind's format: costs stand under their "ob=", but for the line
    after "calls=", which is what the callee cost."""
    found: Counter[str] = Counter()
    names: dict[str, str] = {}
    current, inclusive = "", False
    for line in text.splitlines():
        named = re.match(r"(c?ob)=\((\d+)\)(?: (.+))?$", line)
        if named:
            kind, number, name = named.groups()
            names.setdefault(number, name or "")
            current = names[number] if kind == "ob" else current
        elif line.startswith("calls="):
            inclusive = True
        elif re.match(r"[-+*\d]", line):
            found[current] += 0 if inclusive else int(line.split()[1])
            inclusive = False
    return found


if __name__ == "__main__":
    counted = count()
    KEPT.write_text(json.dumps(counted, indent=2) + "\n")
    print(KEPT.read_text(), end="")
