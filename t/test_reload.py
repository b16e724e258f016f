"""rt:__reload(): fresh code takes the place of what runs, whoever holds it."""

import asyncio
import itertools
import os
from pathlib import Path

import pytest
from harness import library, target
from harness.java import FLAT_OPTS
from harness.wait import wait_for

RELOADS = int(os.environ.get("RESTY_FFI_RELOADS", "0"))
"""In each language; without it, half as many as its cycles in test_cycles.py."""

MAY_GROW_THREADS = 8
"""Go's runtime starts them as it sees fit."""

BATCH = 20
"""Reloads in one request, which has a deadline."""

CLIENTS = 64


HELD = {
    "/": "return package.loaded.held:get()",
    "/reload": "return package.loaded.held:__reload()",
    "/unload": "return package.loaded.held:__unload(10)",
}


def hold(load):
    """Lua of http {} that keeps the handle which the expression load makes."""
    return f"init_worker_by_lua_block {{ package.loaded.held = assert({load}) }}"


@pytest.fixture
def folder(tmp_path):
    """The folder of libversion.so, version 1."""
    library.build("version", tmp_path)
    return tmp_path


# ---- what changes, and for whom


def test_handle_that_others_hold_follows_a_reload(server, folder):
    nginx = server(library_path=[folder], http=hold('ngx.load_ffi("version")'), lua=HELD)
    assert nginx.values() == [True, "1"]
    library.replace("version", folder, {"VERSION": "2"})
    assert nginx.values("/reload") == [True]
    assert nginx.values() == [True, "2"]


def test_load_finds_what_was_reloaded(server, folder):
    nginx = server(
        library_path=[folder],
        lua={
            "/": 'return ngx.load_ffi("version"):get()',
            "/reload": 'return ngx.load_ffi("version"):__reload()',
            "/same": 'return ngx.load_ffi("version") == ngx.load_ffi("version")',
        },
    )
    nginx.values()
    library.replace("version", folder, {"VERSION": "2"})
    nginx.values("/reload")
    assert nginx.values() == [True, "2"]
    assert nginx.values("/same") == [True]


def test_unchanged_library_starts_another_runtime(server):
    nginx = server(http=hold('ngx.load_ffi("serial")'), lua=HELD)
    assert nginx.values() == [True, "1"]
    assert nginx.values("/reload") == [True]
    assert nginx.values() == [True, "2"]


def test_unpinned_library_is_unmapped_by_its_reload(server, folder):
    nginx = server(
        library_path=[folder],
        http=hold('ngx.load_ffi("version", nil, {unpin = true})'),
        lua=HELD,
    )
    for version in "234":
        library.replace("version", folder, {"VERSION": version})
        nginx.values("/reload")
        assert nginx.values() == [True, version]
    wait_for(lambda: copies(nginx) == 1)


def copies(nginx):
    maps = Path(f"/proc/{nginx.worker}/maps").read_text().splitlines()
    inodes = {line.split()[4] for line in maps if "memfd:libversion" in line}
    return len(inodes)


def test_reload_is_of_one_configuration(server):
    nginx = server(
        http="init_worker_by_lua_block { package.loaded.held = {"
        'ngx.load_ffi("serial", "a"), ngx.load_ffi("serial", "b")} }',
        lua="""
            local a, b = unpack(package.loaded.held)
            assert(a:__reload())
            local _, first = a:get()
            local _, second = b:get()
            return first, second
        """,
    )
    assert nginx.values() == ["3", "2"]


def test_python_code_is_read_afresh_without_a_question_mark(server, tmp_path):
    source = tmp_path / "it.py"
    text = "import resty_ffi\ninit = resty_ffi.serve(lambda request: '{}')\n"
    source.write_text(text.format(1))
    nginx = server(http=hold(f'ngx.load_ffi("ffi_python3", "{tmp_path}/it,init,")'), lua=HELD)
    assert nginx.values() == [True, "1"]
    source.write_text(text.format(2))
    assert nginx.values("/reload") == [True]
    assert nginx.values() == [True, "2"]


# ---- calls and reloads at the same time


def test_call_in_flight_is_answered_by_what_it_was_sent_to(server, lang):
    nginx = server(
        prelude=lang.prelude,
        lua={
            "/": 'return load_app("gate"):wait(ngx.var.arg_name)',
            "/reload": 'return load_app("gate"):__reload()',
        },
    )
    before = nginx.begin("/?name=before")
    first = nginx.gate.wait()
    assert nginx.values("/reload") == [True]
    after = nginx.begin("/?name=after")
    second = nginx.gate.wait()
    second.open("new")
    assert after.result() == [True, "new"]
    first.open("old")
    assert before.result() == [True, "old"]


@pytest.fixture
def slow(server):
    """An nginx with a slow_start that runs, under the name "/"."""

    def start(opts="nil", **options):
        nginx = server(
            prelude=f'local function load() return ngx.load_ffi("slow_start", nil, {opts}) end',
            lua={
                "/load": "return load() ~= nil",
                "/": "return load():get()",
                "/reload": "return load():__reload()",
                "/unload": "return load():__unload(10)",
                "/kept": "package.loaded.held = package.loaded.held or load() "
                "return package.loaded.held:get()",
            },
            **options,
        )
        loading = nginx.begin("/load")
        nginx.gate.wait().open()
        assert loading.result() == [True]
        return nginx

    return start


def test_calls_are_served_while_fresh_code_loads(slow):
    nginx = slow()
    reloading = nginx.begin("/reload")
    held = nginx.gate.wait()
    assert nginx.values() == [True, "ready"]
    held.open()
    assert reloading.result() == [True]


def test_reload_reads_what_changed_while_another_was_on_its_way(server, tmp_path):
    """Which may have read the file before."""
    source = tmp_path / "it.py"
    text = "import resty_ffi, gate\ninit = resty_ffi.serve(lambda request: '{}')\n"
    source.write_text(text.format(1))
    nginx = server(http=hold(f'ngx.load_ffi("ffi_python3", "{tmp_path}/it,init,")'), lua=HELD)
    source.write_text(text.format(2) + "gate.hold(b'loading')\n")
    first = nginx.begin("/reload")
    held = nginx.gate.wait()
    source.write_text(text.format(3))
    others = [nginx.begin("/reload") for _ in range(2)]
    nginx.values()
    held.open()
    assert [reload.result() for reload in (first, *others)] == [[True]] * 3
    assert nginx.values() == [True, "3"]


def test_reload_takes_the_place_of_a_runtime_that_has_died_meanwhile(server, tmp_path):
    library.build("quitter", tmp_path).rename(tmp_path / "libmortal.so")
    nginx = server(
        library_path=[tmp_path],
        http=hold('ngx.load_ffi("mortal", "loading")'),
        lua={
            **HELD,
            "/die": """
                local rt = package.loaded.held
                rt:leave()
                local _, err = rt:wait()
                return err
            """,
        },
    )
    library.build("slow_start", tmp_path).rename(tmp_path / "libmortal.so")
    reloading = nginx.begin("/reload")
    held = nginx.gate.wait()
    nginx.expect_log("died: all threads that polled it have ended")
    assert nginx.values("/die") == ["the runtime died: its threads have ended; load it again"]
    held.open()
    assert reloading.result() == [True]
    assert nginx.values() == [True, "ready"]


# ---- a reload that fails


def test_what_runs_goes_on_when_fresh_code_fails(slow):
    nginx = slow()
    nginx.expect_log("failed to reload, what it ran goes on: no")
    reloading = nginx.begin("/reload")
    nginx.gate.wait().open("no")
    assert reloading.result() == [None, "no"]
    assert nginx.values() == [True, "ready"]


def test_what_runs_goes_on_when_fresh_code_takes_too_long(slow):
    nginx = slow("{load_timeout = 0.3}")
    nginx.expect_log("failed to reload, what it ran goes on: load timed out")
    reloading = nginx.begin("/reload")
    held = nginx.gate.wait()
    ok, err = reloading.result()
    assert (ok, err[:14]) == (None, "load timed out")
    held.open()
    assert nginx.values() == [True, "ready"]


def test_reload_can_be_tried_again_after_it_failed(slow):
    nginx = slow()
    reloading = nginx.begin("/reload")
    nginx.gate.wait().open("no")
    reloading.result()
    reloading = nginx.begin("/reload")
    nginx.gate.wait().open()
    assert reloading.result() == [True]


def test_unload_gives_a_reload_up(slow):
    nginx = slow()
    reloading = nginx.begin("/reload")
    held = nginx.gate.wait()
    unloading = nginx.begin("/unload")
    assert reloading.result() == [None, "unloaded"]
    held.open()
    assert unloading.result() == [True]


def test_runtime_that_is_unloaded_is_not_reloaded(server):
    nginx = server(lua='local rt = ngx.load_ffi("echo") rt:__unload() return rt:__reload()')
    assert nginx.values() == [None, "unloaded"]


def test_worker_exits_while_fresh_code_loads(slow):
    nginx = slow(http="lua_ffi_shutdown_timeout 1s;")
    reloading = nginx.begin("/reload")
    held = nginx.gate.wait()
    nginx.signal("QUIT")
    assert reloading.result() == [None, "shutting down"]
    held.open()


# ---- misuse


def test_reload_with_a_dot_raises(server):
    nginx = server(lua='return pcall(ngx.load_ffi("echo").__reload)')
    ok, err = nginx.values()
    assert not ok
    assert err.endswith("bad runtime: call rt:__reload(), with a colon")


def test_reload_where_lua_cannot_wait_says_so(server):
    nginx = server(
        http="""init_worker_by_lua_block {
            require("harness").keep("it", ngx.load_ffi("echo"):__reload())
        }"""
    )
    assert nginx.kept("it") == [
        None,
        "API disabled in the context of init_worker_by_lua*",
    ]


def test_reload_that_cannot_be_waited_for_is_not_begun(server):
    nginx = server(
        http=hold('ngx.load_ffi("serial")'),
        server="""location /filter {
            header_filter_by_lua_block {
                require("harness").keep("it", coroutine.wrap(function()
                    return package.loaded.held:__reload()
                end)())
            }
            return 204;
        }""",
        lua=HELD,
    )
    nginx.get("/filter")
    assert nginx.kept("it") == [None, "API disabled in the context of header_filter_by_lua*"]
    assert nginx.values() == [True, "1"]


def test_unload_by_a_finalizer_in_the_middle_of_a_load_does_no_harm(server):
    nginx = server(
        lua="""
            collectgarbage("setpause", 1)
            collectgarbage("setstepmul", 1000)
            local outcomes = {}
            for i = 1, 3000 do
                local rt, err = ngx.load_ffi("echo")
                outcomes[rt and "loaded" or err] = true
                local proxy = newproxy(true)
                getmetatable(proxy).__gc = function()
                    if rt then rt:__unload() end
                end
            end
            outcomes.unloaded = nil
            return next(outcomes)
        """
    )
    assert nginx.values() == ["loaded", True]


def test_handle_that_is_collected_twice_does_no_harm(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("echo")
            local collect = debug.getmetatable(rt).__gc
            collect(rt)
            collect(rt)
            return pcall(rt.echo, rt, "x")
        """
    )
    ok, err = nginx.values()
    assert not ok
    assert err.endswith("not a runtime")


# ---- under load


class Clients:
    """Connections that ask for echoes, and count what is wrong."""

    def __init__(self, url, connections=CLIENTS):
        self._host, _, self._port = url.rpartition("/")[2].rpartition(":")
        self._connections = connections
        self._stop = False
        self.right = 0
        self.wrong = []

    async def run(self, work):
        """Until work, a function that blocks, has returned."""
        self._stop = False
        asking = [asyncio.create_task(self._ask(n)) for n in range(self._connections)]
        try:
            await asyncio.to_thread(work)
        finally:
            self._stop = True
            await asyncio.gather(*asking)

    async def _ask(self, client):
        reader, writer = await asyncio.open_connection(self._host, int(self._port))
        for number in itertools.count():
            if self._stop:
                break
            text = f"{client}-{number}"
            writer.write(f"GET /echo?{text} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            body = await reader.readexactly(length)
            if head.startswith(b"HTTP/1.1 200 ") and body == text.encode():
                self.right += 1
            else:
                self.wrong.append((text, head, body))
        writer.close()
        await writer.wait_closed()


def test_reloads_under_load_lose_no_call(server, lang, figure):
    echo = """
        local ok, res, err = load_app("echo"):echo(ngx.var.args)
        local text = ok and res or tostring(err or res)
        ngx.status = ok and 200 or 500
        ngx.header["Content-Length"] = #text
        ngx.print(text)
    """
    nginx = server(
        prelude=lang.prelude,
        http="keepalive_requests 10000000;",
        env={"JAVA_OPTS": FLAT_OPTS},
        server=f"location /echo {{ content_by_lua_block {{ {lang.prelude} {echo} }} }}",
        lua=f"""
            for i = 1, {BATCH} do
                assert(load_app("echo"):__reload())
            end
            collectgarbage()
        """,
    )
    clients = Clients(nginx.url)

    def reload(times):
        asyncio.run(clients.run(lambda: [nginx.values() for _ in range(times // BATCH)]))

    reload(lang.warm_up)
    before = nginx.usage()
    reloads = RELOADS or lang.cycles // 2
    reload(reloads)
    figure(f"{reloads} reloads, {clients.right} calls right, {len(clients.wrong)} wrong or lost")

    assert (clients.wrong, clients.right > CLIENTS) == ([], True)
    wait_for(lambda: nginx.usage().threads <= before.threads + MAY_GROW_THREADS)
    wait_for(lambda: nginx.usage().files <= before.files)
    if not target.ASAN:
        assert nginx.usage().resident_kib < before.resident_kib + lang.may_grow_kib
