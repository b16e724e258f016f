"""lua_ffi_slow_call: what the log says of calls that take long."""

import re

import pytest
from harness.wait import wait_for

SLOW = "lua_ffi_slow_call 50ms;"

TIMES = (
    r"was slow: ([\d.]+) ms, of which it waited ([\d.]+) ms in the queue, ran ([\d.]+) ms in the "
    r"guest, and waited ([\d.]+) ms for the event loop; request of (\d+) bytes, response of (\d+)"
)


def slow(nginx):
    return nginx.log.find("was slow")


def call(nginx, path="/"):
    """A call that the gate holds until it is slow."""
    started = nginx.begin(path)
    held = nginx.gate.wait()
    wait_for(lambda: nginx.values("/time") > [0.06], deadline=10)
    return started, held


@pytest.fixture
def timed(server):
    """A server whose /time is how long it is since it was first asked for."""

    def start(lua='return ngx.load_ffi("gate"):block("x")', **options):
        options.setdefault("http", SLOW)
        clock = "ngx.update_time() started = started or ngx.now() return ngx.now() - started"
        globals_ = "init_by_lua_block { started = false }"
        options["http"] += globals_
        return server(lua={"/": lua, "/time": clock}, **options)

    return start


def test_slow_call_is_logged_with_its_times_and_sizes(timed):
    nginx = timed(server="lua_ffi_request_id id7;")
    started, held = call(nginx)
    held.open("answer")
    assert started.result() == [True, "answer"]
    line = nginx.log.wait('\\[warn\\].*runtime "gate", request "id7": call of "block" ' + TIMES)
    whole, queue, guest, loop, request, response = map(float, re.search(TIMES, line).groups())
    assert whole >= 50
    assert guest >= 40
    assert whole == pytest.approx(queue + guest + loop, abs=0.01)
    assert (request, response) == (1, 6)


def test_quick_call_is_not_logged(server):
    nginx = server(http="lua_ffi_slow_call 20s;", lua='return ngx.load_ffi("echo"):echo("x")')
    assert nginx.values() == [True, "x"]
    assert not slow(nginx)


@pytest.mark.parametrize("http", ["", "lua_ffi_metrics off;"])
def test_no_call_is_slow_by_default(timed, http):
    nginx = timed(http=http)
    started, held = call(nginx)
    held.open()
    assert started.result()[0]
    assert not slow(nginx)


def test_slow_calls_are_logged_without_metrics(timed):
    nginx = timed(http=SLOW + "lua_ffi_metrics off;")
    started, held = call(nginx)
    held.open()
    assert started.result()[0]
    nginx.log.wait(TIMES)


def test_call_whose_caller_has_gone_is_logged_when_it_is_answered(timed):
    nginx = timed(lua='return ngx.load_ffi("gate"):watch("x", {timeout = 0.3})')
    assert nginx.values() == [False, "timeout"]
    nginx.gate.wait().open()
    nginx.log.wait('call of "watch" ' + TIMES)


def test_lines_are_bounded(timed):
    nginx = timed(lua='return ngx.load_ffi("gate"):wait("x")')
    calls = [nginx.begin() for _ in range(40)]
    held = nginx.gate.wait_for(40)
    wait_for(lambda: nginx.values("/time") > [0.06])
    for one in held:
        one.open()
    assert all(call.result()[0] for call in calls)
    wait_for(lambda: len(slow(nginx)) + left_out(nginx) == 40)
    assert left_out(nginx) > 0


def left_out(nginx):
    lines = nginx.log.find("more calls were slow within a second")
    return sum(int(re.search(r"(\d+) more calls", line)[1]) for line in lines)


def test_library_is_shown_a_call_while_it_is_slow_and_waited_for(server):
    nginx = server(http=SLOW, lua='return ngx.load_ffi("overdue"):late()')
    started = nginx.begin()
    held = {one.name: one for one in nginx.gate.wait_for(2)}
    assert set(held) == {"late", "overdue"}
    held["overdue"].open()
    nginx.log.wait("late is late")
    held["late"].open("answer")
    assert started.result() == [True, "answer"]


def test_slow_python_handler_is_logged_with_its_stack(server, tmp_path):
    app = tmp_path / "app.py"
    app.write_text(
        """
import gate, resty_ffi
def inner():
    gate.hold(b"x")
init = resty_ffi.serve(lambda request: inner())
"""
    )
    nginx = server(http=SLOW, lua=f"return ngx.load_ffi('ffi_python3', '{tmp_path}/app,init'):x()")
    started = nginx.begin()
    held = nginx.gate.wait()
    nginx.log.wait("its handler is at:")
    nginx.log.wait(f'File "{app}", line 4, in inner')
    held.open()
    assert started.result() == [True]
    nginx.log.wait(TIMES)


@pytest.mark.parametrize("value", ["0", "x", "-1", "25d"])
def test_directive_wants_a_time(server, value):
    nginx = server(start=False, http=f"lua_ffi_slow_call {value};")
    assert nginx.check_config().returncode != 0
