"""make bench: calls from Lua, what they add to a request, and what runtimes cost.

RESTY_FFI_BENCH=brief: each figure once, to see that all of it works. See README.md.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Iterator

BENCH = Path(__file__).parent
APPS = BENCH / "apps"

sys.path.insert(0, str(BENCH.parent / "t"))

import calls  # noqa: E402
import growth  # noqa: E402
import machine  # noqa: E402
import metrics  # noqa: E402
import peers  # noqa: E402
import posts  # noqa: E402
import ways  # noqa: E402
from harness import go, java, rust  # noqa: E402
from harness.config import Config  # noqa: E402
from harness.server import Server  # noqa: E402

BRIEF = os.environ.get("RESTY_FFI_BENCH") == "brief"

ROUNDS = 1 if BRIEF else 5

MOST_IDLE = 10 if BRIEF else 1000

OUTPUT = BENCH.parent / "build" / "bench"

# Above ngx_lua's defaults, for the benefit of the socket and of threads.
HTTP = f"lua_socket_buffer_size 64k; lua_worker_thread_vm_pool_size 2048; {posts.HTTP}"


def main() -> None:
    about = machine.describe()
    print("\n".join(about), end="\n\n")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="resty-ffi-bench-")))
        build(folder)
        behind = stack.enter_context(peers.started(folder))
        with started(
            folder,
            lua={"/calls": calls.lua(folder)},
            server=posts.locations() + posts.proxies(),
            http=HTTP + peers.upstreams(folder),
        ) as server:
            called = calls.measure(server, ROUNDS)
            calls.report(called)
            posted = posts.measure(server, behind, ROUNDS)
            posts.report(posted)
            with started(
                folder, lua={"/calls": calls.lua(folder)}, http=f"{HTTP} lua_ffi_metrics off;"
            ) as other:
                metrics.report(metrics.measure(server, other, 3 * ROUNDS))
                print()
        grown = growth.measure(lambda **config: started(folder, **config), ROUNDS, MOST_IDLE)
        growth.report(grown)
    keep({"machine": about, "calls": called, "posts": posted, "growth": grown})


def build(folder: Path) -> None:
    flags = ["-O2", "-shared", "-fPIC", "-pthread", f"-I{BENCH.parent / 'include'}"]
    command = ["cc", *flags, APPS / "echo.c", "-o", folder / "libecho.so"]
    subprocess.run(command, check=True)
    go.build_all(folder)
    rust.build_all(folder)
    java.build_apps(folder / "java")


@contextmanager
def started(folder: Path, http: str = HTTP, **config: Any) -> Iterator[Server]:
    server = Server(
        Config(
            main=ways.THREAD_POOL,
            events="worker_connections 8192;",
            http=http,
            library_path=[folder],
            env={"PYTHONPATH": str(APPS), "CLASSPATH": str(folder / "java")},
            **config,
        )
    )
    try:
        shutil.copy(BENCH / "bench.lua", server.folder)
        shutil.copy(APPS / "thread_echo.lua", server.folder)
        server.start()
        yield server
    finally:
        server.close()
        server.remove()


def keep(result: dict[str, Any]) -> None:
    """For plots.py."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "result.json").write_text(json.dumps(plain(result), indent=1))
    print(f"\nkept in {OUTPUT}/result.json; make plots draws it")


def plain(value: Any) -> Any:
    """What JSON has: ("C", load) becomes "C, 16 B"."""
    if isinstance(value, dict):
        return {key_text(key): plain(one) for key, one in value.items()}
    if is_dataclass(value):
        return asdict(value)
    return value


def key_text(key: Any) -> str:
    if isinstance(key, tuple):
        return ", ".join(getattr(part, "name", part) for part in key)
    return str(key)


if __name__ == "__main__":
    main()
