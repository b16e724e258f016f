"""Rust libraries replaced and unmapped while nginx runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from harness import target
from harness.wait import wait_for

PRIVATE_COPY = "/memfd:librust_"

FLAVOURS = ["threads", "tokio"]

CYCLES = 500

BATCH = 50
"""Cycles in one request, which has a deadline."""

MAY_GROW_KIB = 4096

KEYS = 1024
"""Of thread-specific data, that a process can have."""

LUA = {
    "/": """
        local rt, err = load()
        if not rt then
            return nil, err
        end
        return rt[args.method or "get"](rt, args.request)
    """,
    "/unload": "return load():__unload(tonumber(args.wait) or 10)",
    "/cycles": f"""
        for i = 1, {BATCH} do
            local rt = assert(load())
            assert(rt:get(""))
            assert(rt:__unload(10))
        end
        collectgarbage()
    """,
}

PRELUDE = """
    local args = ngx.req.get_uri_args()
    local function load()
        return ngx.load_ffi(args.lib or "rust_version", args.cfg, {unpin = args.unpin ~= nil})
    end
"""

FRESH = "&lib=rust_version%3F"
UNPIN = "&unpin=1"


@pytest.fixture
def folder(libraries: Path, tmp_path: Path):
    """The folder of librust_version.so, which replace() changes."""
    replace(libraries, tmp_path, "1")
    return tmp_path


@pytest.fixture
def nginx(server, folder):
    return server(library_path=[folder], lua=LUA, prelude=PRELUDE)


def file_of(libraries, version):
    return libraries / {"1": "librust_version.so", "2": "librust_version_2.so"}[version]


def replace(libraries, folder, version):
    """As cargo does: a new file takes the place of the old."""
    new = shutil.copy(file_of(libraries, version), folder / "new")
    Path(new).rename(folder / "librust_version.so")


def overwrite(libraries, folder, version):
    """As cp does: into the very file that is there."""
    (folder / "librust_version.so").write_bytes(file_of(libraries, version).read_bytes())


def is_mapped(nginx, how=""):
    maps = Path(f"/proc/{nginx.worker}/maps").read_text().splitlines()
    return any(PRIVATE_COPY in line and how in line for line in maps)


# ---- unmapped


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_unpinned_library_is_unmapped(nginx, flavour):
    before = nginx.usage().threads
    assert nginx.values(f"/?cfg={flavour}{UNPIN}") == [True, "1"]
    assert is_mapped(nginx)
    assert nginx.values(f"/unload?cfg={flavour}{UNPIN}") == [True]
    wait_for(lambda: not is_mapped(nginx))
    wait_for(lambda: nginx.usage().threads == before)


@pytest.mark.parametrize("lib", ["rust_misuse", "rust_inspect"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_library_that_has_panicked_and_logged_is_unmapped(server, flavour, lib):
    nginx = server(lua=LUA, prelude=PRELUDE)
    about = f"cfg={flavour}&lib={lib}{UNPIN}"
    nginx.values(f"/?method=panic&{about}")
    nginx.values(f"/?method=log&{about}")
    unloading = nginx.begin(f"/unload?{about}")
    if lib == "rust_misuse":
        nginx.gate.wait().open()
    assert unloading.result() == [True]
    wait_for(lambda: not is_mapped(nginx))


def test_code_of_a_library_is_unmapped_after_a_backtrace(server):
    nginx = server(lua=LUA, prelude=PRELUDE, env={"RUST_BACKTRACE": "1"})
    about = f"cfg=threads&lib=rust_misuse{UNPIN}"
    nginx.values(f"/?method=panic&{about}")
    nginx.log.wait("rust_misuse::misbehave")
    unloading = nginx.begin(f"/unload?{about}")
    nginx.gate.wait().open()
    assert unloading.result() == [True]
    wait_for(lambda: not is_mapped(nginx, " r-xp "))


def test_library_whose_start_panics_is_unmapped(server):
    nginx = server(lua=LUA, prelude=PRELUDE)
    for cfg in ("threads%20start", "tokio%20factory", "tokio%20refuse"):
        assert nginx.values(f"/?lib=rust_misuse&cfg={cfg}{UNPIN}")[0] is None
    wait_for(lambda: not is_mapped(nginx))


def test_futures_left_behind_do_not_keep_the_library_mapped(server):
    nginx = server(lua=LUA, prelude=PRELUDE)
    about = f"lib=rust_misuse&cfg=tokio{UNPIN}"
    assert nginx.values(f"/?method=leave_pending&{about}") == [True, "fine"]
    unloading = nginx.begin(f"/unload?{about}")
    nginx.gate.wait().open()
    assert unloading.result() == [True]
    wait_for(lambda: not is_mapped(nginx))


def test_function_that_blocks_keeps_the_library_mapped_and_nginx_going(server):
    nginx = server(lua={**LUA, "/other": "return 1"}, prelude=PRELUDE)
    about = f"lib=rust_misuse&cfg=tokio{UNPIN}"
    assert nginx.values(f"/?method=leave_blocked&request=blocked&{about}") == [True, "fine"]
    blocked = nginx.gate.wait()
    unloading = nginx.begin(f"/unload?wait=20&{about}")
    nginx.gate.wait().open()
    assert nginx.values("/other") == [1]
    assert unloading.result() == [True]
    nginx.log.wait("it stays mapped: some of its threads have not ended")
    assert is_mapped(nginx)
    assert nginx.values(f"/?method=alive&{about}") == [True, "fine"]
    blocked.open()


def test_handler_that_never_returns_does_not_keep_nginx_from_ending(server):
    nginx = server(
        lua=LUA, prelude=PRELUDE, http="lua_ffi_shutdown_timeout 200ms; lua_ffi_timeout 1s;"
    )
    for flavour in FLAVOURS:
        nginx.begin(f"/?method=wait&request=held&cfg={flavour}{UNPIN}")
        nginx.gate.wait()
    assert nginx.stop("QUIT") == 0


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_close_that_never_returns_does_not_keep_nginx_from_ending(server, flavour):
    nginx = server(lua=LUA, prelude=PRELUDE, http="lua_ffi_shutdown_timeout 200ms;")
    assert nginx.values(f"/?lib=rust_misuse&method=any&cfg={flavour}") == [True, "fine"]
    nginx.signal("QUIT")
    assert nginx.gate.wait().name == "closed"
    assert nginx.stop() == 0


def test_library_of_the_field_is_unmapped(server):
    nginx = server(lua=LUA, prelude=PRELUDE)
    for _ in range(50):
        call = f"/?lib=rust_field&cfg=a&request=b{UNPIN}"
        assert nginx.values(call) == [True, "ab"]
        assert nginx.values(f"/unload?lib=rust_field&cfg=a{UNPIN}") == [True]
        wait_for(lambda: not is_mapped(nginx))


def test_library_of_the_field_is_refused_before_its_copies_end_the_worker(server):
    nginx = server(
        lua=f"""
            for i = 1, {BATCH} do
                local rt, err = ngx.load_ffi("rust_field", "a", {{unpin = true}})
                if not rt then
                    return err, ngx.load_ffi("echo"):echo("still there")
                end
                assert(rt:it("b"))
                assert(rt:__unload(10))
            end
        """
    )
    answers = (nginx.values() for _ in range(KEYS // BATCH + 1))
    why, *still = next(answer for answer in answers if answer)
    assert "used up the keys of thread-specific data; reload nginx" in why
    assert still == [True, "still there"]


@pytest.mark.parametrize(
    ("free", "options", "loads"),
    [(0, "", False), (10, "", False), (30, "", True), (30, UNPIN, False), (80, UNPIN, True)],
)
def test_library_is_refused_before_it_finds_no_key(server, free, options, loads):
    nginx = server(lua=LUA, prelude=PRELUDE)
    assert nginx.values(f"/?lib=keys&cfg={free}")[0] is True
    answer, why = nginx.values(f"/?cfg=a{options}")
    assert (answer, why) == (True, "1") if loads else "keys of thread-specific data" in why


def test_keys_are_counted_without_taking_any(server):
    nginx = server(
        lua="""
            local keys = assert(ngx.load_ffi("keys", "30"))
            for i = 1, 300 do
                ngx.load_ffi("rust_version", nil, {unpin = true})
            end
            return keys:get()
        """
    )
    assert nginx.values() == [True, "fine"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_cycles_leave_nothing_behind(nginx, flavour):
    cycle = f"/cycles?cfg={flavour}{UNPIN}"
    nginx.values(cycle)
    before = nginx.usage()
    for _ in range(CYCLES // BATCH):
        nginx.values(cycle)
    wait_for(lambda: not is_mapped(nginx))
    wait_for(lambda: nginx.usage().threads <= before.threads)
    wait_for(lambda: nginx.usage().files <= before.files)
    if not target.ASAN:  # which keeps freed memory for a while
        assert nginx.usage().resident_kib < before.resident_kib + MAY_GROW_KIB


def test_more_copies_than_there_are_keys_of_thread_specific_data(nginx):
    for _ in range(KEYS // BATCH + 2):
        nginx.values(f"/cycles?cfg=threads{UNPIN}")
    assert nginx.values(f"/?cfg=threads{UNPIN}") == [True, "1"]


# ---- replaced


def test_mapped_code_stays_until_it_is_asked_for(nginx, libraries, folder):
    assert nginx.values("/?cfg=a") == [True, "1"]
    replace(libraries, folder, "2")
    assert nginx.values("/?cfg=b") == [True, "1"]
    assert nginx.values("/unload?cfg=a") == [True]
    assert nginx.values("/?cfg=a") == [True, "1"]


def test_question_mark_has_a_rebuilt_library_read(nginx, libraries, folder):
    assert nginx.values(f"/?cfg=a{FRESH}") == [True, "1"]
    replace(libraries, folder, "2")
    assert nginx.values(f"/?cfg=a{FRESH}") == [True, "1"]
    assert nginx.values(f"/?cfg=b{FRESH}") == [True, "2"]
    assert nginx.values(f"/unload?cfg=a{FRESH}") == [True]
    assert nginx.values(f"/?cfg=a{FRESH}") == [True, "2"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_unpinned_library_that_was_closed_is_read_afresh(nginx, libraries, folder, flavour):
    for version in ("2", "1", "2"):
        replace(libraries, folder, version)
        assert nginx.values(f"/?cfg={flavour}{UNPIN}") == [True, version]
        assert nginx.values(f"/unload?cfg={flavour}{UNPIN}") == [True]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_call_in_flight_is_answered_by_the_old_code(nginx, libraries, folder, flavour):
    about = f"cfg={flavour}{FRESH}{UNPIN}"
    call = nginx.begin(f"/?method=wait&request=held&{about}")
    held = nginx.gate.wait()
    replace(libraries, folder, "2")
    assert nginx.values(f"/unload?wait=0.01&{about}")[0] is None
    assert nginx.values(f"/?{about}") == [True, "2"]
    held.open()
    assert call.result() == [True, "1"]
    assert nginx.values(f"/?{about}") == [True, "2"]


@pytest.mark.parametrize("how", [FRESH, UNPIN])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_file_may_be_overwritten_in_place(nginx, libraries, folder, flavour, how):
    about = f"cfg={flavour}{how}"
    call = nginx.begin(f"/?method=wait&request=held&{about}")
    held = nginx.gate.wait()
    overwrite(libraries, folder, "2")
    assert nginx.values(f"/?{about}") == [True, "1"]
    held.open()
    assert call.result() == [True, "1"]
    (folder / "librust_version.so").write_bytes(b"no library")
    assert nginx.values(f"/?{about}") == [True, "1"]
    overwrite(libraries, folder, "2")
    assert nginx.values(f"/unload?{about}") == [True]
    assert nginx.values(f"/?{about}") == [True, "2"]
