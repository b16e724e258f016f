"""A thousand times load, call and unload, and what has grown after it."""

import pytest
from harness import target
from harness.wait import wait_for

CYCLES = 1000

BATCH = 50
"""Cycles in one request, which has a deadline."""

MAY_GROW_KIB = 4096

JAVA_OPTS = "-Xms24m -Xmx24m -XX:+AlwaysPreTouch -XX:MetaspaceSize=8m -Xint"
"""What the VM would grow into is there from the start; -Xint, as compiled code comes later."""

KINDS = {
    "unpinned": 'ngx.load_ffi("echo", nil, {unpin = true})',
    "fresh": 'ngx.load_ffi("echo?")',
    "each with its cfg": 'ngx.load_ffi("echo", "cfg " .. i)',
    "with fini": 'ngx.load_ffi("fini", nil, {unpin = true})',
    "failing": 'ngx.load_ffi("fail_init", "no")',
}


def run_cycles(server, load, prelude="", warm_up=2 * BATCH):
    """Runs some to warm up, then the thousand, and sees that nothing grew."""
    nginx = server(
        env={"JAVA_OPTS": JAVA_OPTS},
        prelude=prelude,
        lua=f"""
            local first = tonumber(ngx.var.arg_first)
            for i = first, first + {BATCH - 1} do
                local rt = {load}
                if rt then
                    assert(rt:echo("x"))
                    assert(rt:__unload(10))
                end
            end
            collectgarbage()
        """,
    )
    cycle(nginx, warm_up)
    before = nginx.usage()
    cycle(nginx, CYCLES)
    wait_for(lambda: nginx.usage().threads <= before.threads)
    wait_for(lambda: nginx.usage().files <= before.files)
    if not target.ASAN:  # which keeps freed memory for a while
        assert nginx.usage().resident_kib < before.resident_kib + MAY_GROW_KIB


def cycle(nginx, times):
    for first in range(0, times, BATCH):
        nginx.values(f"/?first={first}")


def test_cycles_leave_nothing_behind(server, lang):
    run_cycles(server, 'load_app("echo")', lang.prelude, lang.warm_up)


@pytest.mark.parametrize("kind", KINDS)
def test_cycles_leave_nothing_behind_when(server, kind):
    run_cycles(server, KINDS[kind])
