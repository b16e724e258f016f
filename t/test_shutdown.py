"""HUP, QUIT and TERM: what is answered, and how long it may take."""

import time

import pytest
from harness.wait import wait_for

ECHO = 'return ngx.load_ffi("echo"):echo("hello")'


def test_reload_answers_what_is_in_flight(server):
    nginx = server(lua='return ngx.load_ffi("gate"):wait("held")')
    old = nginx.worker
    calls = [nginx.begin() for _ in range(20)]
    held = nginx.gate.wait_for(20)
    nginx.reload()
    for one in held:
        one.open("answered")
    assert [call.result() for call in calls] == [[True, "answered"]] * 20
    wait_for(lambda: old not in nginx.started())


def test_reload_takes_new_calls_at_once(server):
    nginx = server(lua='return ngx.load_ffi("gate"):wait(ngx.var.arg_x)')
    before = nginx.begin("/?x=before")
    held = nginx.gate.wait()
    nginx.reload()
    after = nginx.begin("/?x=after")
    nginx.gate.wait().open("after")
    assert after.result() == [True, "after"]
    assert not before.done()
    held.open("before")
    assert before.result() == [True, "before"]


def test_quit_waits_for_a_slow_start(server):
    nginx = server(lua='return ngx.load_ffi("slow_start", "x"):get()')
    call = nginx.begin()
    held = nginx.gate.wait()
    nginx.signal("QUIT")
    wait_for(nginx.shutting_down)
    held.open()
    assert call.result() == [True, "ready"]
    assert nginx.stop() == 0


def test_quit_unloads_the_runtimes(server):
    nginx = server(lua='return ngx.load_ffi("fini", "held"):get()')
    assert nginx.values() == [True, "served"]
    nginx.signal("QUIT")
    held = nginx.gate.wait()
    assert held.name == "fini"
    held.open()
    assert nginx.stop() == 0


@pytest.mark.parametrize("method", ["wait", "block"])
def test_stuck_handler_delays_the_end_by_the_shutdown_timeout_only(server, method):
    nginx = server(
        http="lua_ffi_shutdown_timeout 300ms;",
        lua=f'return ngx.load_ffi("gate"):{method}("stuck", {{timeout = 0.3}})',
    )
    assert nginx.values() == [False, "timeout"]
    start = time.monotonic()
    assert nginx.stop(deadline=10) == 0
    assert 0.25 < time.monotonic() - start < 5


def test_calls_that_no_thread_is_left_to_answer_delay_nothing(server):
    nginx = server(
        http="lua_ffi_shutdown_timeout 1h;",
        lua='return ngx.load_ffi("never"):it("x", {timeout = 0.3})',
    )
    assert nginx.values() == [False, "timeout"]
    assert nginx.stop(deadline=10) == 0


def test_stuck_start_delays_the_end_by_the_shutdown_timeout_only(server):
    nginx = server(
        http="lua_ffi_shutdown_timeout 300ms;",
        lua='return ngx.load_ffi("slow_start", "stuck", {load_timeout = 0.05})',
    )
    assert nginx.values()[0] is None
    nginx.gate.wait()
    assert nginx.stop(deadline=10) == 0


def test_worker_shutdown_timeout_counts_when_it_is_shorter(server):
    nginx = server(
        main="worker_shutdown_timeout 300ms;",
        http="lua_ffi_shutdown_timeout 1h;",
        lua='return ngx.load_ffi("gate"):wait("stuck", {timeout = 0.3})',
    )
    assert nginx.values() == [False, "timeout"]
    assert nginx.stop(deadline=10) == 0


def test_term_does_not_wait_for_a_stuck_handler(server):
    nginx = server(
        http="lua_ffi_shutdown_timeout 1h;",
        lua='return ngx.load_ffi("gate"):wait("stuck", {timeout = 0.3})',
    )
    assert nginx.values() == [False, "timeout"]
    assert nginx.stop("TERM", deadline=10) == 0


def test_term_ends_idle_runtimes_at_once(server):
    nginx = server(lua=ECHO)
    nginx.values()
    start = time.monotonic()
    assert nginx.stop("TERM") == 0
    assert time.monotonic() - start < 5


def test_runtimes_start_afresh_in_the_new_worker(server):
    nginx = server(
        lua='return ngx.load_ffi("serial", "a"):get(), ngx.load_ffi("serial", "b"):get()'
    )
    assert nginx.values() == [True, True, "2"]
    nginx.reload()
    assert nginx.values() == [True, True, "2"]
