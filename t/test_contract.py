"""What must be the same in every language."""

import pytest
from harness.wait import wait_for


def test_request_comes_back(server, lang):
    nginx = server(prelude=lang.prelude, lua='return load_app("echo"):echo("hello")')
    assert nginx.values() == [True, "hello"]


def test_nil_and_empty_stay_different(server, lang):
    nginx = server(
        prelude=lang.prelude,
        lua="""
            local rt = load_app("echo")
            local _, none = rt:echo(nil)
            local _, empty = rt:echo("")
            local _, zero = rt:echo("\\0")
            return none, empty, zero
        """,
    )
    assert nginx.values() == [None, "", "\0"]


def test_every_byte_is_safe(server, lang):
    nginx = server(
        prelude=lang.prelude,
        lua="""
            local bytes = {}
            for i = 0, 255 do
                bytes[i + 1] = string.char(i)
            end
            local req = table.concat(bytes):rep(3)
            local ok, res = load_app("echo"):echo(req)
            return ok, res == req
        """,
    )
    assert nginx.values() == [True, True]


@pytest.mark.parametrize("size", [1, 4095, 4096, 4097, 65536, 1 << 20, 64 << 20])
def test_request_of_any_size(server, lang, size):
    nginx = server(
        prelude=lang.prelude,
        lua=f"""
            local req = ("x"):rep({size})
            local ok, res = load_app("echo"):echo(req)
            return ok, res == req
        """,
    )
    assert nginx.values() == [True, True]


@pytest.mark.parametrize("size", [0, 1, 100000, 64 << 20])
def test_response_of_any_size(server, lang, size):
    nginx = server(
        prelude=lang.prelude,
        lua=f"""
            local ok, res = load_app("big"):get("{size}")
            return ok, #res, res:byte({size}, {size}) or -1
        """,
    )
    assert nginx.values() == [True, size, (size - 1) % 256 if size else -1]


def test_failure_has_a_number_and_the_reason(server, lang):
    nginx = server(prelude=lang.prelude, lua='return load_app("fail"):it("3:out of luck")')
    ok, rc, why = nginx.values()
    assert not ok
    assert rc != 0
    assert "out of luck" in why


def test_failed_call_does_not_harm_the_next(server, lang):
    nginx = server(
        prelude=lang.prelude,
        lua="""
            local rt = load_app("fail")
            for i = 1, 100 do
                rt:it("1:first")
            end
            return select(3, rt:it("1:last"))
        """,
    )
    assert "last" in nginx.values()[0]


def test_runtime_can_be_called_without_a_method(server, lang):
    nginx = server(prelude=lang.prelude, lua='return load_app("echo")("hello")')
    assert nginx.values() == [True, "hello"]


def test_each_of_many_calls_gets_its_own_answer(server, lang):
    nginx = server(
        prelude=lang.prelude,
        lua="""
            local rt = load_app("echo")
            local threads, right = {}, 0
            for i = 1, 2000 do
                threads[i] = ngx.thread.spawn(rt.echo, rt, tostring(i))
            end
            for i = 1, 2000 do
                local _, ok, res = ngx.thread.wait(threads[i])
                right = right + (ok and res == tostring(i) and 1 or 0)
            end
            return right
        """,
    )
    assert nginx.values() == [2000]


def test_event_loop_goes_on_while_a_handler_works(server, lang):
    nginx = server(
        prelude=lang.prelude,
        lua={"/": 'return load_app("gate"):wait("held")', "/other": "return 1"},
    )
    call = nginx.begin()
    held = nginx.gate.wait()
    assert nginx.values("/other") == [1]
    assert not call.done()
    held.open("done")
    assert call.result() == [True, "done"]


def test_timeout_ends_a_call_and_its_late_answer_goes_nowhere(server, lang):
    nginx = server(
        prelude=lang.prelude,
        lua={
            "/": 'return load_app("gate"):wait("late", {timeout = 0.3})',
            "/next": 'return load_app("gate"):wait("next")',
        },
    )
    assert nginx.values() == [False, "timeout"]
    late = nginx.gate.wait()
    following = nginx.begin("/next")
    late.open("late answer")
    nginx.gate.wait().open("its own answer")
    assert following.result() == [True, "its own answer"]


def test_call_fails_fast_when_the_queue_is_full(server, lang):
    nginx = server(
        prelude=lang.prelude, lua='return load_app("gate", {max_queue = 2}):wait("held")'
    )
    calls = [nginx.begin() for _ in range(3)]
    refused = wait_for(lambda: [call for call in calls if call.done()])
    assert [call.result() for call in refused] == [[False, "queue full"]]
    for _ in range(2):
        nginx.gate.wait().open("served")
    assert [call.result() for call in calls if call not in refused] == [[True, "served"]] * 2


def test_slow_start_does_not_hold_up_other_requests(server, lang):
    nginx = server(
        prelude=lang.prelude,
        lua={"/": 'return load_app("slow_start"):get()', "/other": "return 1"},
    )
    call = nginx.begin()
    held = nginx.gate.wait()
    assert nginx.values("/other") == [1]
    held.open()
    assert call.result() == [True, "ready"]


def test_failed_start_says_why(server, lang):
    nginx = server(
        prelude=lang.prelude,
        lua={
            "/": 'return pcall(load_app, "slow_start")',
            "/echo": 'return load_app("echo"):echo("still there")',
        },
    )
    call = nginx.begin()
    nginx.gate.wait().open("out of luck")
    ok, why = call.result()
    assert not ok
    assert "out of luck" in why
    assert nginx.values("/echo") == [True, "still there"]


def test_call_in_flight_is_answered_when_its_runtime_is_unloaded(server, lang):
    nginx = server(
        prelude=lang.prelude,
        lua={
            "/": 'return load_app("gate"):wait("held")',
            "/unload": """
                local rt = load_app("gate")
                return rt:__unload(), rt:wait("refused")
            """,
        },
    )
    call = nginx.begin()
    held = nginx.gate.wait()
    assert nginx.values("/unload") == [True, False, "unloaded"]
    held.open("answered")
    assert call.result() == [True, "answered"]


def test_unload_ends_the_threads_and_the_app_loads_again(server, lang):
    nginx = server(
        prelude=lang.prelude,
        lua="""
            local rt = load_app("echo")
            rt:echo("x")
            return rt:__unload(10), load_app("echo"):echo("again")
        """,
    )
    assert nginx.values() == [True, True, "again"]


def test_client_that_leaves_does_no_harm(server, lang):
    nginx = server(
        prelude=lang.prelude,
        server="lua_check_client_abort on;",
        lua={"/": 'return load_app("gate"):wait("held")', "/other": "return 1"},
    )
    sockets = nginx.usage().sockets
    with nginx.connect():
        held = nginx.gate.wait()
    wait_for(lambda: nginx.usage().sockets <= sockets + 1)
    held.open("to nobody")
    following = nginx.begin()
    nginx.gate.wait().open("its own answer")
    assert following.result() == [True, "its own answer"]


def test_reload_answers_the_calls_in_flight(server, lang):
    nginx = server(prelude=lang.prelude, lua='return load_app("gate"):wait("held")')
    old = nginx.worker
    call = nginx.begin()
    held = nginx.gate.wait()
    nginx.reload()
    held.open("answered")
    assert call.result() == [True, "answered"]
    wait_for(lambda: old not in nginx.started())


def test_quit_answers_the_calls_in_flight(server, lang):
    nginx = server(prelude=lang.prelude, lua='return load_app("gate"):wait("held")')
    call = nginx.begin()
    held = nginx.gate.wait()
    nginx.signal("QUIT")
    wait_for(nginx.shutting_down)
    held.open("answered")
    assert call.result() == [True, "answered"]
    assert nginx.stop() == 0
