"""Load, call and unload, again and again, and what has grown after it."""

import pytest
from harness import target
from harness.java import FLAT_OPTS
from harness.wait import wait_for

CYCLES = 1000

BATCHES = 20
"""Requests that all cycles are done in: each has a deadline."""

MAY_GROW_KIB = 4096

KINDS = {
    "unpinned": 'ngx.load_ffi("echo", nil, {unpin = true})',
    "fresh": 'ngx.load_ffi("echo?")',
    "each with its cfg": 'ngx.load_ffi("echo", "cfg " .. i)',
    "with fini": 'ngx.load_ffi("fini", nil, {unpin = true})',
    "failing": 'ngx.load_ffi("fail_init", "no")',
}


def run_cycles(
    server,
    load,
    prelude="",
    cycles=CYCLES,
    may_grow_kib=MAY_GROW_KIB,
    warm_up=2 * CYCLES // BATCHES,
):
    """Runs some to warm up, then all, and sees that nothing grew."""
    batch = cycles // BATCHES
    nginx = server(
        env={"JAVA_OPTS": FLAT_OPTS},
        prelude=prelude,
        lua=f"""
            local first = tonumber(ngx.var.arg_first)
            for i = first, first + {batch - 1} do
                local rt = {load}
                if rt then
                    assert(rt:echo("x"))
                    assert(rt:__unload(10))
                end
            end
            collectgarbage()
        """,
    )
    cycle(nginx, warm_up, batch)
    before = nginx.usage()
    cycle(nginx, cycles, batch)
    wait_for(lambda: nginx.usage().threads <= before.threads)
    wait_for(lambda: nginx.usage().files <= before.files)
    if not target.ASAN:  # which keeps freed memory for a while
        assert nginx.usage().resident_kib < before.resident_kib + may_grow_kib


def cycle(nginx, times, batch):
    for first in range(0, times, batch):
        nginx.values(f"/?first={first}")


def test_cycles_leave_nothing_behind(server, lang):
    run_cycles(
        server,
        'load_app("echo")',
        prelude=lang.prelude,
        cycles=lang.cycles,
        may_grow_kib=lang.may_grow_kib,
        warm_up=lang.warm_up,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_cycles_leave_nothing_behind_when(server, kind):
    run_cycles(server, KINDS[kind])
