"""What the watch over runtimes does by itself: it recycles, reports and replaces."""

import re

from harness.wait import wait_for

# ---- recycling: max_requests, max_age


def replaced(nginx, why):
    return nginx.log.find(f'runtime "serial" is replaced: {why}')


def test_runtime_is_recycled_after_its_number_of_calls(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("serial", nil, {max_requests = 100})
            for _ = 1, 89 do
                rt:get()
            end
            return rt:get()
        """
    )
    assert nginx.values() == [True, "1"]
    wait_for(lambda: nginx.values() == [True, "2"])
    assert re.search("it has had (9[0-9]|100) calls", replaced(nginx, "")[0])


def test_each_runtime_draws_its_own_number_of_calls(server):
    """So that workers do not recycle at once."""
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("serial", nil, {max_requests = 20})
            for _ = 1, 100 do
                rt:get()
            end
        """
    )
    wait_for(lambda: nginx.values() == [] and len(replaced(nginx, "")) >= 20)
    drawn = {re.search(r"it has had (\d+) calls", line)[1] for line in replaced(nginx, "")}
    assert {"18", "19", "20"} & drawn
    assert len(drawn) > 1


def test_runtime_is_recycled_at_its_age_without_any_call(server):
    nginx = server(
        lua={
            "/": 'return ngx.load_ffi("serial", nil, {max_age = 0.1}):get()',
            "/other": "return 1",
        }
    )
    assert nginx.values()[0]
    wait_for(lambda: len(replaced(nginx, "it has reached max_age")) >= 3)
    assert int(nginx.values()[1]) >= 3


def test_recycling_answers_every_call(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("serial", nil, {max_requests = 1})
            local threads, served = {}, 0
            for i = 1, 64 do
                threads[i] = ngx.thread.spawn(function()
                    for _ = 1, 50 do
                        assert(rt:get())
                        served = served + 1
                    end
                end)
            end
            for _, thread in ipairs(threads) do
                ngx.thread.wait(thread)
            end
            return served
        """
    )
    before = nginx.usage()
    assert nginx.values() == [64 * 50]
    assert len(replaced(nginx, "")) > 1
    wait_for(lambda: nginx.usage().threads <= before.threads + 1)


def test_recycling_leaves_no_thread_behind(server):
    nginx = server(
        lua={
            "/": 'return ngx.load_ffi("serial", nil, {max_age = 0.01}):get()',
            "/unload": 'return ngx.load_ffi("serial"):__unload(10)',
        }
    )
    before = nginx.usage()
    nginx.values()
    wait_for(lambda: len(replaced(nginx, "")) >= 20)
    assert nginx.values("/unload") == [True]
    count = len(replaced(nginx, ""))
    wait_for(lambda: nginx.usage().threads == before.threads)
    assert len(replaced(nginx, "")) == count


def test_runtime_goes_on_and_tries_again_when_it_cannot_be_recycled(server):
    nginx = server(
        prelude='local rt = ngx.load_ffi("slow_start", nil, {max_requests = 1})',
        lua={"/load": "return rt ~= nil", "/": "return rt:get()"},
    )
    nginx.expect_log("failed to reload, what it ran goes on: no")
    loading = nginx.begin("/load")
    nginx.gate.wait().open()
    assert loading.result() == [True]
    assert nginx.values() == [True, "ready"]
    nginx.gate.wait().open("no")
    nginx.log.wait("failed to reload, what it ran goes on: no")
    assert nginx.values() == [True, "ready"]
    nginx.gate.wait().open()
    nginx.log.wait('runtime "slow_start" is reloaded')


def test_worker_exits_while_a_runtime_waits_for_its_age(server):
    nginx = server(lua='return ngx.load_ffi("serial", nil, {max_age = 3600}):get()')
    assert nginx.values() == [True, "1"]
    assert nginx.stop(deadline=10) == 0


def test_few_replaced_runtimes_are_left_with_their_calls(server):
    nginx = server(lua='return ngx.load_ffi("gate", nil, {max_requests = 1}):wait("held")')
    calls, held = [], []

    def call():
        calls.append(nginx.begin())
        held.append(nginx.gate.wait())

    for count in range(1, 9):
        call()
        wait_for(lambda count=count: len(nginx.log.find('"gate" is reloaded')) == count)
    for _ in range(3):
        call()
    assert len(nginx.log.find('"gate" is not replaced: 8 that were have not ended')) == 1
    for one in held:
        one.open()
    assert all(one.result()[0] for one in calls)


def test_runtime_is_recycled_again_when_those_it_replaced_have_ended(server):
    nginx = server(lua='return ngx.load_ffi("gate", nil, {max_requests = 1}):wait("held")')
    for count in range(1, 12):
        call = nginx.begin()
        nginx.gate.wait().open()
        assert call.result() == [True, ""]
        wait_for(lambda count=count: len(nginx.log.find('"gate" is reloaded')) == count)


# ---- stuck: calls wait, and no thread polls


def block(opts):
    """A location whose calls hold the only thread of a runtime that has opts."""
    return f'return ngx.load_ffi("gate", ngx.var.arg_cfg, {opts}):block(ngx.var.arg_name)'


def stuck(nginx, name="gate"):
    return nginx.log.find(f'runtime "{name}" is stuck: no thread has polled for')


def test_stuck_runtime_is_reported_once(server):
    nginx = server(lua=block("{stuck_after = 0.2}"))
    first = nginx.begin("/?name=first")
    held = nginx.gate.wait()
    second = nginx.begin("/?name=second")
    line = nginx.log.wait("is stuck")
    assert re.search(r"\[error\] .* no thread has polled for [23]\d\d ms, 1 calls wait", line)

    other = nginx.begin("/?cfg=other&name=other")
    other_held = nginx.gate.wait()
    behind = nginx.begin("/?cfg=other&name=behind")
    wait_for(lambda: len(stuck(nginx)) == 2)

    held.open()
    other_held.open()
    for one in nginx.gate.wait_for(2):
        one.open()
    assert all(call.result()[0] for call in (first, second, other, behind))
    assert len(stuck(nginx)) == 2


def test_runtime_that_is_stuck_again_is_reported_again(server):
    nginx = server(lua=block("{stuck_after = 0.1}"))
    calls = [nginx.begin("/?name=call") for _ in range(3)]
    for count in (1, 2):
        held = nginx.gate.wait()
        wait_for(lambda count=count: len(stuck(nginx)) == count)
        held.open()
    nginx.gate.wait().open()
    assert all(call.result()[0] for call in calls)


def test_busy_runtime_without_waiting_calls_is_not_stuck(server):
    nginx = server(lua=block("{stuck_after = 0.2}"))
    busy = nginx.begin("/?cfg=busy&name=busy")
    held = nginx.gate.wait_for(1)
    calls = [nginx.begin("/?name=call") for _ in range(2)]
    held += nginx.gate.wait_for(1)
    nginx.log.wait("is stuck")
    assert len(stuck(nginx)) == 1
    for one in held:
        one.open()
    nginx.gate.wait().open()
    assert all(call.result()[0] for call in (busy, *calls))


def test_runtime_whose_calls_all_time_out_unpolled_is_stuck(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("gate", nil, {stuck_after = 1, timeout = 0.3})
            return rt:block("call")
        """
    )
    assert nginx.values() == [False, "timeout"]
    nginx.gate.wait()
    assert nginx.values() == [False, "timeout"]
    nginx.log.wait("is stuck: .* 1 calls wait")


def test_stuck_runtime_is_replaced_when_asked(server):
    """Calls that nobody has polled go to the new one, in their order."""
    nginx = server(lua=block('{stuck_after = 0.1, on_stuck = "replace"}'))
    first = nginx.begin("/?name=first")
    held = nginx.gate.wait()
    waiting = nginx.begin("/?name=second")
    second = nginx.gate.wait()
    second.open("from the new one")
    assert waiting.result() == [True, "from the new one"]
    assert not first.done()
    held.open("from the old one")
    assert first.result() == [True, "from the old one"]
    assert len(stuck(nginx)) == 1
    assert nginx.log.find('runtime "gate" is replaced: it is stuck')


def test_stuck_runtime_is_left_as_it_is_by_default(server):
    nginx = server(lua=block("{stuck_after = 0.1}"))
    calls = [nginx.begin("/?name=call") for _ in range(2)]
    held = nginx.gate.wait()
    nginx.log.wait("is stuck")
    assert not nginx.log.find("is replaced")
    held.open()
    nginx.gate.wait().open()
    assert all(call.result()[0] for call in calls)


def test_few_stuck_runtimes_are_replaced(server):
    nginx = server(lua=block('{stuck_after = 0.1, on_stuck = "replace"}'))
    nginx.expect_log('runtime "gate" is not replaced: 8 that were have not ended')
    calls = [nginx.begin("/?name=call") for _ in range(10)]
    held = nginx.gate.wait_for(9)
    nginx.log.wait("is not replaced: 8")
    assert len(stuck(nginx)) == 9
    for one in held:
        one.open()
    nginx.gate.wait().open()
    assert all(call.result()[0] for call in calls)


def test_replacement_that_fails_is_tried_again(server, tmp_path):
    app = tmp_path / "app.py"
    app.write_text(
        """
import os, gate, resty_ffi
if os.path.exists("broken"):
    os.rename("broken", "tried")
    raise OSError("broken")
def handle(request):
    gate.hold(request)
init = resty_ffi.serve(handle)
"""
    )
    nginx = server(
        lua=f"""
            local rt = ngx.load_ffi("ffi_python3", "{tmp_path}/app,init",
                                    {{stuck_after = 0.1, on_stuck = "replace"}})
            return rt(ngx.var.arg_name)
        """
    )
    nginx.expect_log("failed to reload, what it ran goes on: OSError: broken")
    first = nginx.begin("/?name=first")
    held = nginx.gate.wait()
    (nginx.folder / "broken").touch()
    second = nginx.begin("/?name=second")
    nginx.gate.wait().open()
    assert second.result() == [True]
    held.open()
    assert first.result() == [True]
    assert (nginx.folder / "tried").exists()


# ---- calls past their deadline


TIMED_OUT = 'runtime "{}"{}: call of "{}" timed out after {} ms, {}; timeouts so far: {}$'


def test_overdue_call_is_counted_and_logged_once(server):
    nginx = server(lua='return ngx.load_ffi("gate"):wait("held", {timeout = 0.3})')
    for count in (1, 2):
        assert nginx.values() == [False, "timeout"]
        line = TIMED_OUT.format("gate", "", "wait", 300, "still running", count)
        assert nginx.log.find(rf"\[warn\] .*{line}")
    assert len(nginx.log.find("timed out after")) == 2


def test_overdue_call_that_nobody_polled_is_told_apart(server):
    nginx = server(
        lua={
            "/": 'return ngx.load_ffi("gate"):block("held")',
            "/late": 'return ngx.load_ffi("gate"):get("x", {timeout = 0.3})',
        }
    )
    first = nginx.begin()
    held = nginx.gate.wait()
    assert nginx.values("/late") == [False, "timeout"]
    assert nginx.log.find(TIMED_OUT.format("gate", "", "get", 300, "never polled", 1))
    held.open()
    assert first.result() == [True, ""]


def test_line_of_an_overdue_call_bears_its_request_id(server):
    nginx = server(
        http="lua_ffi_request_id $arg_id;",
        lua='return ngx.load_ffi("never"):get("x", {timeout = 0.01})',
    )
    nginx.values("/?id=id7")
    name = ', request "id7"'
    assert nginx.log.find(TIMED_OUT.format("never", name, "get", 10, "still running", 1))


def test_method_does_not_make_lines_of_its_own(server):
    nginx = server(
        lua=r"""
            local rt = ngx.load_ffi("never")
            return rt["a\nb" .. ("x"):rep(3000)](rt, "x", {timeout = 0.01})
        """
    )
    nginx.values()
    assert nginx.log.find('call of "a.bx{125}" timed out after 10 ms')


def test_lines_of_overdue_calls_are_bounded_and_the_rest_counted(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("never")
            local threads = {}
            for i = 1, 100 do
                threads[i] = ngx.thread.spawn(rt.get, rt, "x", {timeout = 0.3})
            end
            for i = 1, 100 do
                ngx.thread.wait(threads[i])
            end
        """
    )
    nginx.values()

    def told():
        lines = nginx.log.find("timed out after")
        more = [re.search(r"ffi: (\d+) more calls timed out", line) for line in nginx.log.lines()]
        return len(lines) + sum(int(match[1]) for match in more if match)

    wait_for(lambda: told() == 100)
    assert 10 <= len(nginx.log.find("timed out after")) < 50


def test_wait_that_is_no_call_is_not_overdue(server):
    nginx = server(
        lua={
            "/": 'return ngx.load_ffi("gate"):wait("held")',
            "/unload": 'return ngx.load_ffi("gate"):__unload(0.05)',
        }
    )
    call = nginx.begin()
    held = nginx.gate.wait()
    assert nginx.values("/unload")[0] is None
    held.open()
    assert call.result() == [True, ""]
    assert not nginx.log.find("timed out after")


# ---- libffi_overdue()


OVERDUE = {
    "/": 'return ngx.load_ffi("overdue"):get("x", {timeout = 0.3})',
    "/unload": "return ngx.load_ffi('overdue'):__unload(tonumber(ngx.var.arg_wait))",
}


def hold_overdue(nginx):
    """A call that is held at the gate, and the libffi_overdue() for it."""
    assert nginx.values() == [False, "timeout"]
    held = {held.name: held for held in nginx.gate.wait_for(2)}
    return held["get"], held["overdue"]


def test_library_is_shown_its_overdue_call(server):
    nginx = server(http="lua_ffi_request_id id7;", lua=OVERDUE)
    call, overdue = hold_overdue(nginx)
    overdue.open()
    nginx.log.wait('runtime "overdue", request "id7": get is late, TERM is blocked')
    call.open()


def test_library_is_shown_one_overdue_call_at_a_time(server):
    nginx = server(lua=OVERDUE)
    _, overdue = hold_overdue(nginx)
    assert nginx.values() == [False, "timeout"]
    assert nginx.gate.wait().name == "get"
    assert not nginx.gate.has_visitor()
    overdue.open()
    nginx.log.wait("get is late")

    def shown_again():
        nginx.values()
        return "overdue" in [nginx.gate.wait().name] or nginx.gate.has_visitor()

    wait_for(shown_again)


def test_runtime_does_not_end_while_its_library_is_shown_a_call(server):
    nginx = server(lua=OVERDUE)
    call, overdue = hold_overdue(nginx)
    call.open()
    call.last_words()
    done, why = nginx.values("/unload?wait=0.3")
    assert done is None
    assert "the runtime is still busy" in why
    unload = nginx.begin("/unload?wait=10")
    overdue.open()
    assert unload.result() == [True]


def test_worker_ends_while_a_library_is_shown_a_call(server):
    nginx = server(http="lua_ffi_shutdown_timeout 300ms;", lua=OVERDUE)
    call, _ = hold_overdue(nginx)
    call.open()
    call.last_words()
    assert nginx.stop(deadline=10) == 0
