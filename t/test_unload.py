"""rt:__unload(): what is answered, what ends, what is unmapped."""

from pathlib import Path

import pytest
from harness import library
from harness.wait import wait_for

PRIVATE_COPY = "/memfd:"


def mapped(nginx, name):
    """Whether the worker has a library of that name mapped."""
    return name in Path(f"/proc/{nginx.worker}/maps").read_text()


def test_unload_returns_at_once(server):
    nginx = server(
        lua={
            "/": 'return ngx.load_ffi("gate"):wait("held")',
            "/unload": 'return ngx.load_ffi("gate"):__unload()',
        }
    )
    call = nginx.begin()
    held = nginx.gate.wait()
    assert nginx.values("/unload") == [True]
    assert not call.done()
    held.open("answered")
    assert call.result() == [True, "answered"]


def test_calls_after_unload_fail_at_once(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("echo")
            rt:__unload()
            return rt:echo("too late")
        """
    )
    assert nginx.values() == [False, "unloaded"]


def test_waiting_calls_are_served(server):
    nginx = server(
        lua={
            "/": 'return ngx.load_ffi("gate"):block("call")',
            "/unload": 'return ngx.load_ffi("gate"):__unload()',
        }
    )
    sockets = nginx.usage().sockets
    calls = [nginx.begin() for _ in range(5)]
    first = nginx.gate.wait()
    wait_for(lambda: nginx.usage().sockets >= sockets + 5)
    nginx.values("/unload")
    first.open("served")
    for _ in range(4):
        nginx.gate.wait().open("served")
    assert [call.result() for call in calls] == [[True, "served"]] * 5


def test_unload_with_a_wait_returns_when_the_runtime_is_gone(server):
    nginx = server(
        lua={
            "/": 'return ngx.load_ffi("gate"):wait("held")',
            "/unload": 'return ngx.load_ffi("gate"):__unload(30)',
            "/other": "return 1",
        }
    )
    before = nginx.usage().threads
    call = nginx.begin()
    held = nginx.gate.wait()
    unload = nginx.begin("/unload")
    nginx.values("/other")
    assert not unload.done()
    held.open("answered")
    assert call.result() == [True, "answered"]
    assert unload.result() == [True]
    wait_for(lambda: nginx.usage().threads == before)


def test_unload_says_when_its_wait_was_too_short(server):
    nginx = server(
        lua={
            "/": 'return ngx.load_ffi("gate"):wait("held")',
            "/unload": 'return ngx.load_ffi("gate"):__unload(0.05)',
        }
    )
    calls = [nginx.begin() for _ in range(3)]
    held = nginx.gate.wait_for(3)
    assert nginx.values("/unload") == [
        None,
        "timeout: the runtime is still busy, calls unanswered: 3",
    ]
    for one in held:
        one.open()
    assert [call.result() for call in calls] == [[True, ""]] * 3


def test_late_answer_lets_the_unload_end(server):
    nginx = server(
        lua={
            "/": 'return ngx.load_ffi("gate"):wait("late", {timeout = 0.3})',
            "/unload": 'return ngx.load_ffi("gate"):__unload(30)',
            "/other": "return 1",
        }
    )
    before = nginx.usage().threads
    assert nginx.values() == [False, "timeout"]
    held = nginx.gate.wait()
    unload = nginx.begin("/unload")
    nginx.values("/other")
    assert not unload.done()
    held.open()
    assert unload.result() == [True]
    wait_for(lambda: nginx.usage().threads == before)


def test_unload_of_what_is_unloaded_is_true(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("echo")
            return rt:__unload(10), rt:__unload(), rt:__unload(10)
        """
    )
    assert nginx.values() == [True, True, True]


def test_wait_is_refused_where_nothing_can_wait_and_the_runtime_stays(server):
    nginx = server(
        server="""
            location /log {
                log_by_lua_block {
                    require("harness").keep("it", require("rt"):__unload(1))
                }
                return 204;
            }
            location /log_at_once {
                log_by_lua_block {
                    require("harness").keep("at once", require("rt"):__unload())
                }
                return 204;
            }
        """,
        lua={
            "/": 'package.loaded.rt = ngx.load_ffi("echo")',
            "/echo": 'return require("rt"):echo("still there")',
        },
    )
    nginx.values()
    nginx.get("/log")
    done, why = nginx.kept("it")
    assert done is None
    assert "API disabled in the context of log_by_lua*" in why
    assert nginx.values("/echo") == [True, "still there"]
    nginx.get("/log_at_once")
    assert nginx.kept("at once") == [True]


def test_same_key_is_loaded_anew_while_the_old_runtime_drains(server):
    nginx = server(
        lua={
            "/": """
                local rt = ngx.load_ffi("gate")
                local call = ngx.thread.spawn(rt.wait, rt, "old")
                rt:__unload()
                local new = ngx.load_ffi("gate")
                return new == rt, new:wait("new")
            """,
        }
    )
    call = nginx.begin()
    old, new = sorted(nginx.gate.wait_for(2), key=lambda held: held.name, reverse=True)
    new.open("from the new one")
    old.open()
    assert call.result() == [False, True, "from the new one"]


def test_handle_of_an_unloaded_runtime_never_revives(server):
    nginx = server(
        lua="""
            local old = ngx.load_ffi("echo")
            old:__unload(10)
            local new = ngx.load_ffi("echo")
            local ok, why = old:echo("old")
            return new:echo("new"), ok, why
        """
    )
    assert nginx.values() == [True, False, "unloaded"]


def test_unload_of_one_runtime_leaves_the_others(server):
    nginx = server(
        lua="""
            local a, b = ngx.load_ffi("cfg", "a"), ngx.load_ffi("cfg", "b")
            a:__unload(10)
            return b:get()
        """
    )
    assert nginx.values() == [True, "b"]


def test_every_poller_is_told(server, figure):
    nginx = server(lua='return ngx.load_ffi("pollers", "16"):__unload(10)')
    before = nginx.usage().threads
    assert nginx.values() == [True]
    wait_for(lambda: nginx.usage().threads == before)
    figure("16 pollers ended")


@pytest.mark.parametrize("name", ["batch", "event_loop"])
def test_other_kinds_of_pollers_are_told(server, name):
    nginx = server(lua=f'return ngx.load_ffi("{name}"):__unload(10)')
    before = nginx.usage()
    assert nginx.values() == [True]
    wait_for(lambda: nginx.usage().threads == before.threads)
    wait_for(lambda: nginx.usage().files == before.files)


def test_poller_may_ask_again_after_the_end(server):
    nginx = server(
        lua={
            "/": 'return ngx.load_ffi("repoll"):get()',
            "/unload": 'return ngx.load_ffi("repoll"):__unload(10)',
        }
    )
    assert nginx.values() == [True, "served"]
    assert nginx.values("/unload") == [True]
    for _ in range(2):
        held = nginx.gate.wait()
        assert held.name == "ended"
        held.open()


def test_library_finishes_before_the_unload_is_over(server):
    nginx = server(
        lua={
            "/": 'return ngx.load_ffi("fini", "held"):get()',
            "/unload": 'return ngx.load_ffi("fini", "held"):__unload(30)',
            "/other": "return 1",
        }
    )
    nginx.values()
    unload = nginx.begin("/unload")
    held = nginx.gate.wait()
    assert held.name == "fini"
    assert nginx.values("/other") == [1]
    assert not unload.done()
    held.open()
    assert unload.result() == [True]


def test_hung_finish_does_not_hold_up_other_libraries(server):
    nginx = server(
        lua={
            "/": 'local rt = ngx.load_ffi("fini", "held") rt:get() return rt:__unload()',
            "/echo": 'return ngx.load_ffi("echo"):echo("hello")',
        }
    )
    nginx.values()
    held = nginx.gate.wait()
    assert nginx.values("/echo") == [True, "hello"]
    held.open()


# ---- unmapping


def test_unpinned_library_is_unmapped(server):
    nginx = server(
        lua={
            "/": 'return ngx.load_ffi("echo", nil, {unpin = true}):echo("x")',
            "/unload": 'return ngx.load_ffi("echo"):__unload(10)',
        }
    )
    nginx.values()
    assert mapped(nginx, PRIVATE_COPY)
    nginx.values("/unload")
    wait_for(lambda: not mapped(nginx, PRIVATE_COPY))


def test_library_stays_mapped_by_default(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("echo")
            rt:echo("x")
            return rt:__unload(10)
        """
    )
    nginx.values()
    assert mapped(nginx, "libecho")


def test_library_is_not_unmapped_while_a_runtime_of_it_lives(server):
    nginx = server(
        lua={
            "/": """
                local a = ngx.load_ffi("cfg", "a", {unpin = true})
                local b = ngx.load_ffi("cfg", "b", {unpin = true})
                package.loaded.b = b
                return a:__unload(10), b:get()
            """,
            "/last": 'return require("b"):__unload(10)',
        }
    )
    assert nginx.values() == [True, True, "b"]
    assert mapped(nginx, PRIVATE_COPY)
    assert nginx.values("/last") == [True]
    wait_for(lambda: not mapped(nginx, PRIVATE_COPY))


def test_one_load_without_unpin_keeps_the_library(server):
    nginx = server(
        lua="""
            local a = ngx.load_ffi("cfg", "a", {unpin = true})
            local b = ngx.load_ffi("cfg", "b")
            return a:__unload(10), b:__unload(10)
        """
    )
    assert nginx.values() == [True, True]
    assert mapped(nginx, PRIVATE_COPY)


def test_library_is_not_unmapped_under_a_thread_of_it(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("repoll", nil, {unpin = true})
            rt:get()
            return rt:__unload(1)
        """
    )
    nginx.begin()
    held = nginx.gate.wait()
    assert mapped(nginx, PRIVATE_COPY)
    held.open()
    nginx.gate.wait().open()


def test_unpinned_library_is_read_afresh(server, tmp_path):
    nginx = server(
        start=False,
        library_path=[tmp_path],
        lua="""
            local rt = ngx.load_ffi("version", nil, {unpin = true})
            local _, version = rt:get()
            rt:__unload(10)
            return version
        """,
    )
    library.build("version", tmp_path, {"VERSION": "1"})
    nginx.start()
    assert nginx.values() == ["1"]
    library.build("version", tmp_path, {"VERSION": "2"})
    assert nginx.values() == ["2"]


def test_pinned_library_is_read_afresh_only_when_asked(server, tmp_path):
    nginx = server(
        start=False,
        library_path=[tmp_path],
        lua="""
            local name = ngx.unescape_uri(ngx.var.arg_name)
            local rt = assert(ngx.load_ffi(name, ngx.var.arg_cfg))
            return select(2, rt:get())
        """,
    )
    library.build("version", tmp_path, {"VERSION": "1"})
    nginx.start()
    assert nginx.values("/?name=version&cfg=a") == ["1"]
    library.build("version", tmp_path, {"VERSION": "2"})
    assert nginx.values("/?name=version&cfg=b") == ["1"]
    assert nginx.values("/?name=version%3f&cfg=c") == ["2"]
    assert nginx.values("/?name=version&cfg=a") == ["1"]


def test_changed_file_of_a_global_library_is_refused(server, tmp_path):
    nginx = server(
        start=False,
        library_path=[tmp_path],
        lua={
            "/": 'return ngx.load_ffi("version", nil, {is_global = true}):get()',
            "/fresh": 'return ngx.load_ffi("version?")',
        },
    )
    library.build("version", tmp_path, {"VERSION": "1"})
    nginx.start()
    nginx.values()
    library.build("version", tmp_path, {"VERSION": "2"})
    runtime, why = nginx.values("/fresh")
    assert runtime is None
    assert "the file changed, but the mapped library is global" in why


def test_private_copy_finds_its_dependency(server):
    nginx = server(lua='return ngx.load_ffi("depends", nil, {unpin = true}):get()')
    assert nginx.values() == [True, "found"]


# ---- pollers that end by themselves


def test_runtime_dies_with_its_last_poller(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("quitter")
            local _, left = rt:leave()
            local ok, why = rt:stay("x", {timeout = 10})
            return left, ok, why
        """
    )
    left, ok, why = nginx.values()
    assert left == "left"
    assert not ok
    assert "its threads have ended" in why
    assert nginx.log.wait('runtime "quitter" died')


def test_call_taken_by_a_thread_that_ended_fails(server):
    nginx = server(lua='return ngx.load_ffi("quitter"):vanish("x", {timeout = 10})')
    ok, why = nginx.values()
    assert not ok
    assert "its threads have ended" in why


DYING = {
    "taken": "return rt:vanish('x', {timeout = 10})",
    "waiting": "rt:leave() return rt:stay('x', {timeout = 10})",
}


@pytest.mark.parametrize("call", DYING)
def test_callers_of_a_thread_that_died_are_told_within_a_second(server, lang, call, figure):
    """Whatever else has threads in the worker, and has started some since."""
    nginx = server(
        prelude=lang.prelude + 'local rt = ngx.load_ffi("quitter")',
        lua={
            "/": f"""
                local function call() {DYING[call]} end
                local start = ngx.now()
                local ok, why = call()
                ngx.update_time()
                return ngx.now() - start, ok, why
            """,
            "/busy": """
                local other, threads = load_app("echo"), {}
                for i = 1, 500 do
                    threads[i] = ngx.thread.spawn(other.echo, other, "x")
                end
                for i = 1, 500 do
                    ngx.thread.wait(threads[i])
                end
                return rt ~= nil
            """,
        },
    )
    assert nginx.values("/busy") == [True]
    seconds, ok, why = nginx.values()
    figure(f"told after {seconds:.2f} s")
    assert not ok
    assert "its threads have ended" in why
    assert seconds < 1


def test_call_handed_to_another_thread_is_answered_by_it(server):
    nginx = server(
        lua={
            "/": 'return ngx.load_ffi("quitter"):hand_off("x")',
            "/waiting": 'return ngx.load_ffi("quitter"):stay("x", {timeout = 10})',
        }
    )
    call = nginx.begin()
    held = nginx.gate.wait()
    ok, why = nginx.values("/waiting")
    assert not ok
    assert "its threads have ended" in why
    assert not call.done()
    held.open("in good hands")
    assert call.result() == [True, "in good hands"]


def test_dead_runtime_can_be_loaded_again(server):
    nginx = server(
        lua="""
            ngx.load_ffi("quitter"):vanish("x", {timeout = 10})
            return ngx.load_ffi("quitter"):stay()
        """
    )
    assert nginx.values() == [True, "stayed"]
