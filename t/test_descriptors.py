"""RLIMIT_NOFILE that is reached, to the last descriptor."""

import re
from contextlib import contextmanager
from pathlib import Path
from resource import RLIMIT_NOFILE, prlimit

import pytest
from harness.config import TESTS

LEFT = [0, 1, 2, 3, 5, 8, 13, 21, 34]
"""Descriptors that a load may use: the last is enough for each language."""

LACK = re.compile(r"(?i).*(descriptors|open files).*")

LUA = {
    "/warm_up": "return true",
    "/load": """
        local opts = {unpin = ngx.var.arg_unpin == "1"}
        local rt, err = ngx.load_ffi(lib, cfg, opts)
        if not rt then
            return err
        end
        return rt:call("hello")
    """,
    "/call": 'return ngx.load_ffi(lib, cfg):call("hello")',
    "/reload": "return ngx.load_ffi(lib, cfg):__reload()",
    "/unload": "return ngx.load_ffi(lib, cfg):__unload(10)",
}

LOADS = {
    "c": ("echo", None),
    "python": ("ffi_python3", "echo,init"),
    "asyncio": ("ffi_python3", "later,init"),
    "go": ("go_apps", "echo"),
    "rust": ("rust_apps", "echo"),
    "nodejs": ("ffi_nodejs", "echo,init"),
    "java": ("ffi_java", "Echo,init"),
}

LATER = """
from resty_ffi import serve

async def echo(request):
    return request

init = serve(echo)
"""


@pytest.fixture(params=LOADS)
def nginx(request, server, tmp_path):
    (tmp_path / "later.py").write_text(LATER)
    lib, cfg = LOADS[request.param]
    cfg = f'"{cfg}"' if cfg else "nil"
    path = f"{TESTS}/apps/python:{tmp_path}"
    return server(env={"PYTHONPATH": path}, prelude=f'local lib, cfg = "{lib}", {cfg}', lua=LUA)


@contextmanager
def only(nginx, left):
    """The worker may open so many more, beside a client's connection."""
    assert nginx.values("/warm_up") == [True]
    worker = nginx.worker
    used = {int(path.name) for path in Path(f"/proc/{worker}/fd").iterdir()}
    limit, free = 0, left + 1
    while free > 0:
        free -= limit not in used
        limit += 1
    before = prlimit(worker, RLIMIT_NOFILE, (limit, prlimit(worker, RLIMIT_NOFILE)[1]))
    try:
        yield
    finally:
        assert nginx.worker == worker
        prlimit(worker, RLIMIT_NOFILE, before)


def test_load_without_descriptors_says_so_and_the_next_one_works(nginx):
    outcomes = []
    for left in LEFT:
        with only(nginx, left):
            outcomes.append(nginx.values("/load?unpin=1"))
        assert nginx.values("/load") == [True, "hello"]
        nginx.reload()
    assert outcomes[-1] == [True, "hello"]
    failed = [outcome for outcome in outcomes if outcome != [True, "hello"]]
    assert all(len(outcome) == 1 and LACK.fullmatch(outcome[0]) for outcome in failed), failed


def test_runtime_without_descriptors_serves_on_and_can_be_unloaded(nginx):
    assert nginx.values("/load") == [True, "hello"]
    with only(nginx, 0):
        reloaded = nginx.values("/reload")
        assert reloaded == [True] or LACK.fullmatch(reloaded[1])
        assert nginx.values("/call") == [True, "hello"]
        assert nginx.values("/unload") == [True]
    assert nginx.values("/load") == [True, "hello"]
