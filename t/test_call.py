"""rt:method(request): what goes in, what comes out, and where from."""

import pytest
from harness.wait import wait_for

# ---- from where

LOAD_FIRST = 'init_worker_by_lua_block { package.loaded.rt = assert(ngx.load_ffi("echo")) }'


def test_call_works_in_a_coroutine_of_the_request(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("echo")
            local co = coroutine.wrap(function()
                coroutine.yield(select(2, rt:echo("a")))
                return select(2, rt:echo("b"))
            end)
            return co(), co()
        """
    )
    assert nginx.values() == ["a", "b"]


def test_runtime_is_shared_between_requests(server):
    nginx = server(
        http=LOAD_FIRST,
        lua='return require("rt"):echo(ngx.var.arg_x)',
    )
    calls = [nginx.begin(f"/?x={x}") for x in range(50)]
    assert [call.result() for call in calls] == [[True, str(x)] for x in range(50)]


# ---- what goes in, what comes out

METHODS = ["get", "key", "handle", "finished", "tq", "state", "__index", "__gc", "__call"]
METHODS += ["", " ", "with space", "1", "end", "naïve", "漢字"]


@pytest.mark.parametrize("method", METHODS)
def test_method_may_have_any_name(server, method):
    nginx = server(
        lua=f"""
            local rt = ngx.load_ffi("method")
            local name = "{method}"
            return select(2, rt[name](rt, "x")) == name
        """
    )
    assert nginx.values() == [True]


def test_method_name_is_binary_safe_and_may_be_long(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("method")
            local name = ("a\\0b\\255"):rep(10000)
            local ok, res = rt[name](rt)
            return ok, res == name
        """
    )
    assert nginx.values() == [True, True]


def test_runtime_is_called_like_a_method(server):
    nginx = server(lua='return ngx.load_ffi("echo")("hello")')
    assert nginx.values() == [True, "hello"]


def test_plain_call_has_the_empty_method(server):
    nginx = server(lua='return ngx.load_ffi("method")("hello")')
    assert nginx.values() == [True, ""]


def test_error_is_rc_and_message(server):
    nginx = server(lua='return ngx.load_ffi("fail"):it("3:out of luck")')
    assert nginx.values() == [False, 3, "out of luck"]


def test_error_may_have_no_message(server):
    nginx = server(lua='return ngx.load_ffi("fail"):it("-2147483648")')
    assert nginx.values() == [False, -2147483648]


LEGACY = {
    "string": [True, "a C string"],
    "bytes": [True, "a\0b"],
    "empty": [True, ""],
    "null": [True],
    "null_with_length": [True],
    "fail": [False, 5, "an error"],
}


@pytest.mark.parametrize("method", LEGACY)
def test_older_respond_function_with(server, method):
    nginx = server(lua=f'return ngx.load_ffi("legacy"):{method}()')
    assert nginx.values() == LEGACY[method]


@pytest.mark.parametrize("library", ["batch", "event_loop"])
def test_many_calls_are_served_by(server, library):
    nginx = server(
        lua=f"""
            local rt = ngx.load_ffi("{library}")
            local threads, done = {{}}, 0
            for i = 1, 1000 do
                threads[i] = ngx.thread.spawn(rt.echo, rt, tostring(i))
            end
            for i = 1, 1000 do
                local ok, served = ngx.thread.wait(threads[i])
                done = done + (ok and served and 1 or 0)
            end
            return done
        """
    )
    assert nginx.values() == [1000]


def test_poll_with_a_deadline_comes_back_without_a_task(server):
    nginx = server(lua='return ngx.load_ffi("batch"):get()')
    assert wait_for(lambda: int(nginx.values()[1]))


def test_library_with_an_event_loop_wakes_for_every_call(server):
    nginx = server(lua='return ngx.load_ffi("event_loop"):echo(ngx.var.arg_x)')
    assert [nginx.values(f"/?x={x}")[1] for x in range(20)] == [str(x) for x in range(20)]


# ---- wrong arguments


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        ('rt.echo("x")', "call rt:echo(request), with a colon"),
        ("rt.echo()", "call rt:echo(request), with a colon"),
        ('rt.echo({}, "x")', "call rt:echo(request), with a colon"),
        ("rt:echo(1)", "request must be a string or nil, got number"),
        ("rt:echo({})", "request must be a string or nil, got table"),
        ("rt(true)", "request must be a string or nil, got boolean"),
        ('rt:echo("x", 1)', "opts must be a table or nil, got number"),
        ('rt:echo("x", {timeout = "1"})', "opts.timeout must be"),
        ('rt:echo("x", {timeout = -1})', "opts.timeout must be"),
        ('rt:echo("x", {timeout = 1/0})', "opts.timeout must be"),
        ("rt.__unload()", "call rt:__unload(), with a colon"),
        ("rt:__unload(0)", "wait must be"),
    ],
)
def test_wrong_argument_is_the_callers_error(server, call, complaint):
    nginx = server(
        lua=f"""
            local rt = ngx.load_ffi("echo")
            local ok, why = pcall(function() local res = {call} return res end)
            return ok, why, rt:echo("still there")
        """
    )
    ok, why, *after = nginx.values()
    assert not ok
    assert why.startswith("content_by_lua")
    assert complaint in why
    assert after == [True, "still there"]


def test_runtime_shows_nothing_of_its_inside(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("echo")
            return getmetatable(rt), pcall(function() rt.x = 1 end)
        """
    )
    shown, ok = nginx.values()[:2]
    assert not shown
    assert not ok


# ---- deadlines and bounds


def test_call_has_a_timeout_of_its_own(server):
    nginx = server(lua='return ngx.load_ffi("gate"):wait("held", {timeout = 0.3})')
    assert nginx.values() == [False, "timeout"]


def test_handler_sees_its_time_left(server):
    nginx = server(lua='return ngx.load_ffi("inspect"):time_left(nil, {timeout = 30})')
    assert 20000 < int(nginx.values()[1]) <= 30000


def test_library_that_never_responds_costs_its_caller_the_timeout_only(server):
    nginx = server(
        http="lua_ffi_shutdown_timeout 100ms;",
        lua='return ngx.load_ffi("never"):it("x", {timeout = 0.3})',
    )
    assert nginx.values() == [False, "timeout"]


def test_abandoned_calls_count_until_they_are_answered(server):
    nginx = server(
        prelude='local rt = ngx.load_ffi("gate", nil, {max_queue = 1})',
        lua={
            "/": 'return rt:wait("late", {timeout = 0.3})',
            "/again": """
                local ok, res
                repeat
                    ngx.sleep(0.001)
                    ok, res = rt:wait("on time")
                until res ~= "queue full"
                return ok, res
            """,
        },
    )
    assert nginx.values() == [False, "timeout"]
    assert nginx.values() == [False, "queue full"]
    again = nginx.begin("/again")
    nginx.gate.wait().open()
    nginx.gate.wait().open("served")
    assert again.result() == [True, "served"]


def test_abandoned_call_is_not_started(server):
    nginx = server(
        lua={
            "/first": 'return ngx.load_ffi("gate"):block("first")',
            "/second": 'return ngx.load_ffi("gate"):block("second", {timeout = 0.3})',
            "/third": 'return ngx.load_ffi("gate"):block("third")',
        }
    )
    first = nginx.begin("/first")
    held = nginx.gate.wait()
    assert nginx.values("/second") == [False, "timeout"]
    third = nginx.begin("/third")
    held.open()
    assert first.result() == [True, ""]
    held = nginx.gate.wait()
    assert held.name == "third"
    held.open()
    assert third.result() == [True, ""]


def test_slow_calls_do_not_hold_up_others(server):
    nginx = server(
        lua={
            "/slow": 'return ngx.load_ffi("gate"):wait("slow")',
            "/fast": 'return ngx.load_ffi("echo"):echo("fast")',
        }
    )
    slow = nginx.begin("/slow")
    held = nginx.gate.wait()
    assert nginx.values("/fast") == [True, "fast"]
    held.open("at last")
    assert slow.result() == [True, "at last"]


def test_calls_are_answered_in_any_order(server):
    nginx = server(lua='return ngx.load_ffi("gate"):wait(ngx.var.arg_x)')
    calls = {str(x): nginx.begin(f"/?x={x}") for x in range(10)}
    for held in reversed(nginx.gate.wait_for(10)):
        held.open(held.name)
    assert {x: call.result() for x, call in calls.items()} == {x: [True, x] for x in calls}


def test_every_poller_serves(server):
    nginx = server(lua='return ngx.load_ffi("pollers", "8"):get()')
    calls = [nginx.begin() for _ in range(8)]
    for held in nginx.gate.wait_for(8):
        held.open("served")
    assert [call.result() for call in calls] == [[True, "served"]] * 8


def test_guest_sees_the_exit_status_of_its_children(server, figure):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("children")
            local threads, seen = {}, {}
            for i = 1, 1000 do
                threads[i] = ngx.thread.spawn(rt.run, rt, "exit 3")
            end
            for i = 1, 1000 do
                local _, _, status = ngx.thread.wait(threads[i])
                seen[status] = (seen[status] or 0) + 1
            end
            return seen
        """
    )
    (seen,) = nginx.values()
    figure(f"1000 children exit with 3, seen: {seen}")
    assert seen == {"3": 1000}


def test_ngx_pipe_sees_the_exit_status_of_its_own(server):
    nginx = server(
        lua="""
            local supported, pipe = pcall(require, "ngx.pipe")
            if not supported then
                return "unsupported"
            end
            local rt = ngx.load_ffi("children")
            local right = 0
            for i = 1, 50 do
                local guest = ngx.thread.spawn(rt.run, rt, "exit 3")
                local _, _, status = pipe.spawn({"sh", "-c", "exit 4"}):wait()
                local _, _, other = ngx.thread.wait(guest)
                right = right + (status == 4 and other == "3" and 1 or 0)
            end
            return right
        """
    )
    right = nginx.values()
    if right == ["unsupported"]:
        pytest.skip("this nginx has no ngx.pipe")
    assert right == [50]
