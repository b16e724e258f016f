"""Processes as /proc shows them."""

from __future__ import annotations

import ctypes
import os
import re
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .wait import DEADLINE, wait_for

_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make this process the parent of every descendant whose own parent ends.

    Without it a process that escapes from nginx could not be found any more.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def parents() -> dict[int, int]:
    """Parent by pid, of every process that is not a zombie."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                # "pid (name) state ppid ...", and the name may hold anything.
                state, parent = (entry / "stat").read_text().rpartition(")")[2].split()[:2]
                if state != "Z":
                    found[int(entry.name)] = int(parent)
    return found


def descendants(pid: int) -> set[int]:
    parent = parents()
    found = {pid}
    while True:
        more = {child for child in parent if parent[child] in found} - found
        if not more:
            return found - {pid}
        found |= more


def title(pid: int) -> str:
    """The command line, or what the process made of it; "" when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    return ""


def thread_names(pid: int) -> list[str]:
    """As top -H shows them."""
    names = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(OSError):  # it has ended
            names.append((task / "comm").read_text().rstrip("\n"))
    return names


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class Adopted:
    """A process that adopt_orphans() has made a child of this one, or will."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Its exit status when it has ended, and its parent before."""
        if self.returncode is None:
            with suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float = DEADLINE) -> int:
        """Raises TimeoutError."""
        wait_for(lambda: self.poll() is not None, timeout)
        assert self.returncode is not None
        return self.returncode


@dataclass(frozen=True)
class Usage:
    """What one process holds. Taken twice, the difference is what leaked."""

    threads: int
    files: int
    sockets: int
    """But for unix sockets, of which event loops have some."""
    resident_kib: int

    @classmethod
    def of(cls, pid: int) -> Usage:
        """Raises OSError when the process is gone."""
        files = []
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                files.append(os.readlink(entry))
        local = set(Path(f"/proc/{pid}/net/unix").read_text().split())
        status = Path(f"/proc/{pid}/status").read_text()
        return cls(
            threads=int(_field(status, "Threads")),
            files=len(files),
            sockets=len({name[8:-1] for name in files if name.startswith("socket:")} - local),
            resident_kib=int(_field(status, "VmRSS")),
        )


def _field(status: str, name: str) -> str:
    match = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
    return match.group(1) if match else "0"
