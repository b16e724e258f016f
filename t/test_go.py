"""Handlers in Go, and libraries that do without our SDK."""

from __future__ import annotations

import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import go, library
from harness.wait import wait_for


def app(name, call):
    """Lua that calls the app of that configuration."""
    return f"return assert(ngx.load_ffi('go_apps', '{name}')):{call}"


@pytest.mark.parametrize(
    ("method", "why"),
    [
        ("panic", "panic: at the disco"),
        ("goexit", "runtime.Goexit was called"),
        ("nil_pointer", "nil pointer dereference"),
    ],
)
def test_handler_that_ends_badly_fails_its_call_alone(server, method, why):
    nginx = server(
        lua={
            "/": app("misfits", f"{method}('at the disco')"),
            "/next": app("misfits", "next()"),
        }
    )
    for _ in range(5):
        ok, rc, message = nginx.values()
        assert (ok, rc) == (False, 1)
        assert why in message
        assert nginx.values("/next") == [True, "fine"]
    nginx.log.wait(rf'\[error\] .*ffi: runtime "go_apps": .*{why}')
    nginx.log.wait(r"go_apps/special\.go")


def test_error_has_the_number_it_was_given(server):
    nginx = server(lua=app("misfits", "rc('no luck')"))
    assert nginx.values() == [False, 42, "no luck"]


def test_factory_that_fails_says_why(server):
    nginx = server(lua="return ngx.load_ffi('go_apps', 'unknown')")
    assert nginx.values() == [None, 'no app "unknown"']


@pytest.mark.parametrize("cfg", ["nil", "''", "'text'", r"'\255\128'"])
def test_configuration_arrives_whole(server, cfg):
    nginx = server(
        lua=f"""
            local cfg = {cfg}
            local _, same = assert(ngx.load_ffi("go_cfg", cfg)):get()
            return same == cfg
        """
    )
    assert nginx.values() == [True]


def test_configuration_may_be_json(server):
    nginx = server(
        lua=r"""return ngx.load_ffi("go_apps", 'json:{"greeting": "Hello, \\u00e9"}'):get()"""
    )
    assert nginx.values() == [True, "Hello, é".encode().decode("latin-1")]


def test_context_is_cancelled_when_the_client_leaves(server):
    nginx = server(server="lua_check_client_abort on;", lua=app("cancel", "wait('held')"))
    with nginx.connect():
        held = nginx.gate.wait()
    held.open()
    assert held.last_words() == "context canceled"


def test_context_ends_with_the_timeout_of_the_call(server):
    nginx = server(lua=app("cancel", "wait('held', {timeout = 0.3})"))
    assert nginx.values() == [False, "timeout"]
    held = nginx.gate.wait()
    held.open()
    assert held.last_words() == "context deadline exceeded"


def test_handler_sees_the_deadline(server):
    nginx = server(lua=app("facts", "deadline(nil, {timeout = 30})"))
    assert re.match(r"(30|29\.\d+)s", nginx.values()[1])


def test_handler_sees_the_id_of_the_request(server):
    nginx = server(http="lua_ffi_request_id $arg_id;", lua=app("facts", "request_id()"))
    assert nginx.values("/?id=abc") == [True, "abc"]
    assert nginx.values("/") == [True, ""]


def test_slog_line_has_its_level_runtime_and_request(server):
    nginx = server(http="lua_ffi_request_id $arg_id;", lua=app("facts", "log('sold out')"))
    nginx.values("/?id=abc")
    nginx.log.wait(r'\[warn\] .*ffi: runtime "go_apps".*abc.*: sold out item="green tea"')


def test_slog_line_without_a_call_is_logged(server):
    nginx = server(lua=app("facts", "log_outside('all is lost')"))
    nginx.values()
    nginx.log.wait(r"\[error\] .*ffi: all is lost")


def test_handler_is_closed_when_its_runtime_is_gone(server):
    nginx = server(
        lua={
            "/": app("closer", "wait('held')"),
            "/unload": app("closer", "__unload(10)"),
            "/other": app("echo", "echo('served')"),
        }
    )
    call = nginx.begin()
    held = nginx.gate.wait()
    unload = nginx.begin("/unload")
    assert nginx.values("/other") == [True, "served"]
    held.open("answered")
    assert call.result() == [True, "answered"]
    closing = nginx.gate.wait()
    assert closing.name == "closed"
    assert not unload.done()
    closing.open()
    assert unload.result() == [True]


def test_handler_is_closed_when_the_worker_exits(server):
    nginx = server(lua=app("closer", "wait('held')"))
    call = nginx.begin()
    held = nginx.gate.wait()
    nginx.signal("QUIT")
    held.open("answered")
    assert call.result() == [True, "answered"]
    closing = nginx.gate.wait()
    assert closing.name == "closed"
    closing.open()
    assert nginx.stop() == 0


def test_handler_sees_the_exit_status_and_output_of_its_children(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("go_apps", "facts")
            local threads, right = {}, 0
            for i = 1, 100 do
                threads[i] = ngx.thread.spawn(rt.child, rt, "echo " .. i .. "; exit " .. i % 2 * 3)
            end
            for i = 1, 100 do
                local _, ok, response, why = ngx.thread.wait(threads[i])
                if ok and response == i .. "\\n" or not ok and why == "exit status 3" then
                    right = right + 1
                end
            end
            return right
        """
    )
    assert nginx.values() == [100]


def test_environment_is_what_nginx_was_started_with(server, monkeypatch):
    monkeypatch.setenv("NOT_IN_NGINX_CONF", "seen")
    nginx = server(lua=app("facts", "environment('NOT_IN_NGINX_CONF')"))
    assert nginx.values() == [True, "seen"]


def test_slow_calls_do_not_hold_up_quick_ones(server):
    nginx = server(
        lua={
            "/": app("gate", "wait('held')"),
            "/quick": """
                local rt = ngx.load_ffi("go_apps", "echo")
                for i = 1, 1000 do
                    assert(select(2, rt:echo("x")) == "x")
                end
                return true
            """,
        }
    )
    calls = [nginx.begin() for _ in range(20)]
    held = nginx.gate.wait_for(20)
    assert nginx.values("/quick") == [True]
    for each in held:
        each.open("done")
    assert [call.result() for call in calls] == [[True, "done"]] * 20


LOOP = {
    "/": app("misfits", "spin()"),
    "/collect": app("misfits", "collect()"),
    "/release": app("misfits", "release()"),
}
"""A loop without calls, and what must interrupt it to stop the world."""


def interrupt_a_loop(nginx):
    spinning = nginx.begin()
    for _ in range(3):
        assert nginx.values("/collect") == [True, "fine"]
    assert not spinning.done()
    nginx.values("/release")
    assert spinning.result() == [True, "fine"]


@pytest.mark.parametrize("processors", ["1", "2"])
def test_loop_without_calls_does_not_stop_the_others(server, processors):
    nginx = server(env={"GOMAXPROCS": processors}, lua=LOOP)
    nginx.values("/collect")
    interrupt_a_loop(nginx)


def test_loop_in_one_library_does_not_stop_it_when_another_was_loaded(server):
    nginx = server(lua={**LOOP, "/other": "return ngx.load_ffi('go_cfg', 'x'):get()"})
    nginx.values("/collect")
    assert nginx.values("/other") == [True, "x"]
    interrupt_a_loop(nginx)


def test_loop_does_not_stop_its_library_when_another_came_with_one_in_c(
    server, libraries, tmp_path
):
    library.copy(libraries / "libgo_cfg.so", tmp_path)
    library.build("version", tmp_path, needs="go_cfg")
    nginx = server(
        library_path=[tmp_path, libraries],
        lua={**LOOP, "/other": "return ngx.load_ffi('version'):get()"},
    )
    nginx.values("/collect")
    assert nginx.values("/other") == [True, "1"]
    interrupt_a_loop(nginx)


def test_several_libraries_in_one_worker(server):
    nginx = server(
        lua="""
            local a = assert(ngx.load_ffi("go_apps", "misfits"))
            local b = assert(ngx.load_ffi("go_cfg", "b"))
            local c = assert(ngx.load_ffi("go_raw", "c"))
            local _, _, why = a:nil_pointer()
            return why, select(2, b:get()), select(2, c:get("x")), select(2, a:next())
        """
    )
    why, *others = nginx.values()
    assert "nil pointer" in why
    assert others == ["b", "c:x", "fine"]


def test_goroutines_and_threads_end_with_their_runtimes(server):
    nginx = server(
        lua="""
            for i = 1, 100 do
                local rt = assert(ngx.load_ffi("go_apps", "echo:" .. i))
                assert(rt:echo("x"))
                assert(rt:__unload(10))
            end
            return true
        """
    )
    nginx.values()
    before = nginx.usage()
    assert nginx.values() == [True]
    wait_for(lambda: nginx.usage().threads <= before.threads + 4)
    assert nginx.usage().files <= before.files + 2


# ---- signals

SIGNALS = ["HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "TERM", "CHLD", "IO", "WINCH"]


def caught(pid):
    """The signals that the process has handlers for."""
    status = Path(f"/proc/{pid}/status").read_text()
    bits = int(re.search(r"SigCgt:\s*(\w+)", status).group(1), 16)
    return {signo for signo in range(1, 32) if bits >> (signo - 1) & 1}


def test_go_takes_no_signal_from_nginx(server):
    nginx = server(lua={"/": app("echo", "echo('x')"), "/other": "return 1"})
    before = caught(nginx.worker)
    nginx.values()
    taken = {signal.Signals(signo).name for signo in caught(nginx.worker) - before}
    assert before <= caught(nginx.worker)
    assert taken <= {"SIGSEGV", "SIGBUS", "SIGFPE", "SIGURG"}


def test_nginx_obeys_its_signals_with_go_loaded(server):
    nginx = server(lua=app("echo", "echo('x')"))
    nginx.values()
    nginx.log.path.rename(nginx.folder / "moved.log")
    nginx.signal("USR1")
    wait_for(nginx.log.path.exists)
    old = nginx.worker
    nginx.reload()
    assert nginx.worker != old
    assert nginx.values() == [True, "x"]
    assert nginx.stop("QUIT") == 0


def test_output_that_nobody_reads_does_not_end_the_worker(server):
    nginx = server(lua=app("misfits", "print_to_nobody()"))
    for _ in range(3):
        ok, _, why = nginx.values()
        assert not ok
        assert "broken pipe" in why


def test_term_ends_a_worker_with_calls_in_flight(server):
    nginx = server(lua=app("gate", "wait('held')"))
    with nginx.connect():
        nginx.gate.wait()
        assert nginx.stop("TERM") == 0


def test_client_that_left_before_its_answer_is_no_sigpipe(server):
    nginx = server(
        lua={
            "/": """
                ngx.load_ffi("go_apps", "echo"):echo("x")
                for i = 1, 100 do
                    ngx.print(("x"):rep(100000))
                    if not ngx.flush(true) then break end
                end
            """,
            "/other": "return 1",
        }
    )
    pid = nginx.worker
    for _ in range(10):
        nginx.connect().close()
    assert nginx.values("/other") == [1]
    assert nginx.worker == pid


def test_reload_under_load_loses_no_call(server):
    nginx = server(
        lua="""
            local rt = assert(ngx.load_ffi("go_apps", "echo"))
            for i = 1, 100 do
                assert(select(2, rt:echo("x")) == "x")
            end
            return true
        """
    )
    with ThreadPoolExecutor(8) as clients:
        calls = [clients.submit(nginx.values) for _ in range(200)]
        for _ in range(3):
            nginx.reload()
        assert [call.result() for call in calls] == [[True]] * 200


# ---- without the SDK


def test_library_of_the_field_runs_unchanged(server):
    nginx = server(
        lua="""
            local rt = assert(ngx.load_ffi("go_raw"))
            local cfg = assert(ngx.load_ffi("go_raw", "cfg"))
            return select(2, rt:get("a")), select(2, cfg:get("b")), ngx.load_ffi("go_raw", "fail")
        """
    )
    assert nginx.values() == ["nil:a", "cfg:b", None, "libffi_init() returned 3"]


def test_library_of_the_field_unloads_although_its_poller_moves_between_threads(server):
    nginx = server(
        lua="""
            local rt = assert(ngx.load_ffi("go_raw"))
            local threads = {}
            for i = 1, 300 do
                threads[i] = ngx.thread.spawn(rt.get, rt, i % 3 == 0 and "slow" or "x")
            end
            for i = 1, 300 do
                assert(ngx.thread.wait(threads[i]))
            end
            return rt:__unload(10)
        """
    )
    for _ in range(5):
        assert nginx.values() == [True]


def test_sdk_and_contract_agree():
    sdk = go.SDK / "internal" / "ngx" / "contract.c"
    go.compile_with_the_contract(sdk)
