"""Load, call and unload, again and again, and what has grown after it."""

import shutil

import pytest
from harness import library, target
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
    may_grow_threads=0,
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
    wait_for(lambda: nginx.usage().threads <= before.threads + may_grow_threads)
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
        may_grow_threads=lang.may_grow_threads,
        warm_up=lang.warm_up,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_cycles_leave_nothing_behind_when(server, kind):
    run_cycles(server, KINDS[kind])


# ---- replaced each time

REPLACED = 500
"""Cycles; the first tenth warms up."""

FILES = {
    "c": ("libversion.so", 'ngx.load_ffi("version", nil, {unpin = true})'),
    "rust": ("librust_version.so", 'ngx.load_ffi("rust_version", nil, {unpin = true})'),
    "python": ("version.py", 'ngx.load_ffi("ffi_python3", "version?,init")'),
}


def write(language, version, folder, libraries):
    """That version of the language's file."""
    if language == "c":
        return library.build("version", folder, {"VERSION": version})
    if language == "rust":
        name = {"1": "rust_version", "2": "rust_version_2"}[version]
        return library.copy(libraries / f"lib{name}.so", folder)
    file = folder / "version.py"
    file.write_text(f"import resty_ffi\ninit = resty_ffi.serve(lambda request: '{version}')\n")
    return file


@pytest.mark.parametrize("language", FILES)
def test_cycles_of_a_file_that_is_replaced_leave_nothing_behind(
    server, tmp_path, libraries, language
):
    name, load = FILES[language]
    made = {v: write(language, v, tmp_path, libraries).rename(tmp_path / v) for v in "12"}
    nginx = server(
        library_path=[tmp_path, *target.find().loader_folders()],
        env={"PYTHONPATH": str(tmp_path)},
        lua=f"""
            local rt = assert({load})
            local _, version = rt:get()
            assert(rt:__unload(10))
            return version
        """,
    )
    for count in range(REPLACED):
        version = "12"[count % 2]
        shutil.copy(made[version], tmp_path / "new").rename(tmp_path / name)
        assert nginx.values() == [version]
        if count == REPLACED // 10:
            before = nginx.usage()
    wait_for(lambda: nginx.usage().threads <= before.threads)
    wait_for(lambda: nginx.usage().files <= before.files)
    if not target.ASAN:  # which keeps freed memory for a while
        assert nginx.usage().resident_kib < before.resident_kib + MAY_GROW_KIB
