"""Callers that go away while their call is in flight."""

import pytest
from harness.wait import wait_for

NEXT = 'return ngx.load_ffi("gate"):wait("next")'


def let_go(nginx, held):
    """The handler sees that it is abandoned, its late answer reaches nobody."""
    held.open("late answer")
    assert held.last_words() == "done"
    following = nginx.begin("/next")
    nginx.gate.wait().open("its own answer")
    assert following.result() == [True, "its own answer"]


def test_timeout_abandons_the_call(server):
    nginx = server(
        lua={"/": 'return ngx.load_ffi("gate"):watch("x", {timeout = 0.3})', "/next": NEXT}
    )
    assert nginx.values() == [False, "timeout"]
    let_go(nginx, nginx.gate.wait())


def test_leaving_client_abandons_the_call(server):
    nginx = server(
        server="lua_check_client_abort on;",
        lua={"/": 'return ngx.load_ffi("gate"):watch("x")', "/next": NEXT},
    )
    with nginx.connect():
        held = nginx.gate.wait()
    let_go(nginx, held)


ENDINGS = {
    "thread.kill": "ngx.thread.kill(call) ngx.print('[]') return ngx.exit(200)",
    "exit": "ngx.exit(204)",
    "error": "error('oops')",
    "exec": "ngx.exec('/done')",
    "redirect": "ngx.redirect('/done')",
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_call_is_abandoned_by(server, ending):
    nginx = server(
        lua={
            "/": f"""
                local rt = ngx.load_ffi("gate")
                local call = ngx.thread.spawn(rt.watch, rt, "abandoned")
                rt:wait("go on")
                {ENDINGS[ending]}
            """,
            "/next": NEXT,
            "/done": "return 1",
        }
    )
    with nginx.connect() as connection:
        abandoned, go_on = sorted(nginx.gate.wait_for(2), key=lambda held: held.name)
        go_on.open()
        assert connection.recv(100).startswith(b"HTTP/1.1 ")
        let_go(nginx, abandoned)


def test_hundred_abandoned_calls_do_no_harm(server):
    nginx = server(
        lua={
            "/": """
                local rt = ngx.load_ffi("gate")
                local calls = {}
                for i = 1, 100 do
                    calls[i] = ngx.thread.spawn(rt.watch, rt, "x")
                end
                rt:wait("go on")
                for i = 1, 50 do
                    ngx.thread.kill(calls[i])
                end
                ngx.exit(204)
            """,
            "/next": NEXT,
        }
    )
    with nginx.connect():
        all_held = {held: held.name for held in nginx.gate.wait_for(101)}
        (go_on,) = [held for held, name in all_held.items() if name == "go on"]
        killed = [held for held in all_held if held is not go_on]
        go_on.open()
        for held in killed:
            held.open("late")
    for held in killed:
        held.last_words()
    following = nginx.begin("/next")
    nginx.gate.wait().open("its own answer")
    assert following.result() == [True, "its own answer"]


def test_callers_killed_between_their_answer_and_its_arrival_do_no_harm(server):
    """The killer is resumed first of all that are answered in one go."""
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("echo")
            for round = 1, 1000 do
                local victims = {}
                local killer = ngx.thread.spawn(function()
                    rt:echo("killer")
                    for i = 1, #victims do
                        ngx.thread.kill(victims[i])
                    end
                end)
                for i = 1, 10 do
                    victims[i] = ngx.thread.spawn(rt.echo, rt, "victim")
                end
                ngx.thread.wait(killer)
            end
            return rt:echo("alive"), rt:__unload(10)
        """
    )
    assert nginx.values() == [True, True]


def test_timeouts_that_meet_their_answers_do_no_harm(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("echo")
            local threads, wrong = {}, 0
            for i = 1, 5000 do
                threads[i] = ngx.thread.spawn(function()
                    local ok, res = rt:echo(tostring(i), {timeout = 0.001 * (i % 5 + 1)})
                    local right = ok and res == tostring(i) or not ok and res == "timeout"
                    wrong = wrong + (right and 0 or 1)
                end)
            end
            for i = 1, 5000 do
                ngx.thread.wait(threads[i])
            end
            return wrong, rt:echo("alive")
        """
    )
    assert nginx.values() == [0, True, "alive"]


def test_load_is_finished_for_others_when_who_asked_for_it_leaves(server):
    nginx = server(
        server="lua_check_client_abort on;",
        lua='return ngx.load_ffi("slow_start", "x"):get()',
    )
    with nginx.connect():
        held = nginx.gate.wait()
    held.open()
    assert nginx.values() == [True, "ready"]


# ---- libraries that ask who is gone

TOLD = {"/told": 'return ngx.load_ffi("told"):told()'}

LEAVING = {
    "timeout": 'rt:hold("gone", {timeout = 0.3})',
    "thread.kill": """
        local call = ngx.thread.spawn(rt.hold, rt, "gone")
        rt:seen()
        ngx.thread.kill(call)
    """,
    "exit": """
        ngx.thread.spawn(rt.hold, rt, "gone")
        rt:seen()
        ngx.exit(204)
    """,
}


@pytest.mark.parametrize("leaving", LEAVING)
def test_library_is_told_once_of_a_call_abandoned_by(server, leaving):
    nginx = server(
        prelude='local rt = ngx.load_ffi("told")',
        lua={"/": LEAVING[leaving], "/later": 'rt:hold("later", {timeout = 0.3})', **TOLD},
    )
    nginx.get()
    wait_for(lambda: nginx.values("/told") == [True, "gone "])
    nginx.values("/later")
    wait_for(lambda: nginx.values("/told") != [True, "gone "])
    assert nginx.values("/told") == [True, "gone later "]


def test_library_is_told_of_a_client_that_leaves(server):
    nginx = server(
        server="lua_check_client_abort on;",
        lua={
            "/": 'return ngx.load_ffi("told"):hold("gone")',
            "/seen": 'return ngx.load_ffi("told"):seen()',
            **TOLD,
        },
    )
    with nginx.connect():
        wait_for(lambda: nginx.values("/seen") == [True, "gone "])
    wait_for(lambda: nginx.values("/told") == [True, "gone "])


def test_library_that_asks_late_is_told_of_earlier_calls(server):
    nginx = server(
        prelude='local rt = ngx.load_ffi("told", "late")',
        lua={
            "/": 'rt:hold("early", {timeout = 0.3}) return rt:told()',
            "/listen": "return rt:listen()",
            "/told": "return rt:told()",
        },
    )
    assert nginx.values() == [True, ""]
    nginx.values("/listen")
    wait_for(lambda: nginx.values("/told") == [True, "early "])


def test_library_neither_sees_nor_is_told_of_a_call_abandoned_in_the_queue(server):
    nginx = server(
        prelude='local rt = ngx.load_ffi("told")',
        lua={
            "/block": 'return rt:block("held")',
            "/": 'return rt:hold("queued", {timeout = 0.3})',
            "/after": 'rt:hold("after", {timeout = 0.3}) return rt:told(), rt:seen()',
            **TOLD,
        },
    )
    blocked = nginx.begin("/block")
    held = nginx.gate.wait()
    assert nginx.values() == [False, "timeout"]
    held.open()
    blocked.result()
    nginx.values("/after")
    wait_for(lambda: nginx.values("/told") == [True, "after "])
    assert nginx.values("/after")[-1] == "after after "


def test_library_is_told_of_many_calls(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("told")
            for i = 1, 50 do
                ngx.thread.spawn(rt.hold, rt, "x", {timeout = 0.3})
            end
            rt:seen()
        """
    )
    nginx.values()
    wait_for(lambda: len(nginx.log.find("told of x")) == 50)


def test_library_is_told_when_the_worker_exits_before_the_answer(server):
    nginx = server(
        prelude='local rt = ngx.load_ffi("told")',
        lua={"/": 'return rt:hold("unanswered")', "/seen": "return rt:seen()"},
    )
    with nginx.connect():
        wait_for(lambda: nginx.values("/seen") == [True, "unanswered "])
        nginx.signal("TERM")
        nginx.log.wait("told of unanswered")
