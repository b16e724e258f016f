"""Async handlers: an event loop for each runtime."""

import pytest
from harness.wait import wait_for

GATE = """
    import asyncio
    import resty_ffi
    async def gate(name):
        reader, writer = await asyncio.open_unix_connection("gate")
        try:
            writer.write(name + b"\\n")
            answer = await reader.read()
            return answer
        finally:
            writer.close()
"""


def write(python, source, options=""):
    """source defines handle; gate() is there."""
    body = "\n".join(f"    {line}" for line in source.splitlines())
    python.write("app.py", f"{GATE}{body}\n    init = resty_ffi.serve(handle, {options})\n")


def begin(python, request, **options):
    return python.nginx.begin(python.path("call", "app,init", request, **options))


def test_calls_are_served_at_the_same_time_on_one_thread(python):
    write(
        python,
        """
import threading
async def handle(request):
    return await gate(request) + str(len({threading.get_ident()})).encode()
""",
    )
    calls = [begin(python, name) for name in "abc"]
    for held in python.nginx.gate.wait_for(3):
        held.open(held.name)
    assert [call.result() for call in calls] == [[True, f"{name}1"] for name in "abc"]


@pytest.mark.parametrize("raised", ["ValueError('no luck')", "SystemExit(3)", "KeyboardInterrupt"])
def test_exception_is_the_error_of_its_call_only(python, raised):
    write(
        python,
        f"""
async def handle(request):
    await asyncio.sleep(0)
    if request == b"fail": raise {raised}
    return "well"
""",
    )
    assert python.call("app,init", "fail")[:2] == [False, 1]
    assert python.call("app,init", "well") == [True, "well"]


@pytest.mark.parametrize("returned", ["5", "'\\ud800'", "[b'x']"])
def test_handler_that_returns_something_else_fails_the_call(python, returned):
    write(python, f"async def handle(request): return {returned}")
    assert python.call("app,init")[:2] == [False, 1]


def test_more_calls_wait_when_as_many_run_as_may(python):
    write(python, "async def handle(request): return await gate(request)", "concurrency=2")
    calls = [begin(python, str(number)) for number in range(5)]
    for _ in calls:
        held = python.nginx.gate.wait()
        held.open(held.name)
    assert sorted(call.result() for call in calls) == [[True, str(n)] for n in range(5)]


def test_no_more_calls_run_than_may(python):
    write(python, "async def handle(request): return await gate(request)", "concurrency=2")
    calls = [begin(python, str(number)) for number in range(5)]
    held = python.nginx.gate.wait_for(2)
    # Time enough for a third to come to the gate.
    assert python.call("app,init", "late", timeout=0.2) == [False, "timeout"]
    assert not python.nginx.gate.has_visitor()
    for number in range(5):
        held[number].open()
        held += python.nginx.gate.wait_for(1 if len(held) < 5 else 0)
    assert [call.result() for call in calls] == [[True, ""]] * 5


# ---- callers that leave


def cancelled(python, source=""):
    write(
        python,
        f"""
class handle:
    def __init__(self): self.seen = "nothing"
    async def call(self, request):
        try:
            {source or "await gate(request)"}
            self.seen = "finished"
        except asyncio.CancelledError:
            self.seen = f"cancelled {{resty_ffi.current_task().is_abandoned()}}"
            raise
    async def work(self, request):
        await gate(request)
        self.seen = "worked"
    async def told(self, request): return self.seen
""",
    )


def seen(python, what):
    wait_for(lambda: python.call("app,init", method="told") == [True, what])


def test_handler_is_cancelled_when_its_caller_times_out(python):
    cancelled(python)
    assert python.call("app,init", "held", timeout=0.3) == [False, "timeout"]
    seen(python, "cancelled True")


def test_handler_is_cancelled_when_its_client_goes_away(python):
    cancelled(python)
    python.start(http="lua_check_client_abort on;")
    with python.nginx.connect(python.path("call", "app,init", "held")):
        python.nginx.gate.wait()
    seen(python, "cancelled True")


def test_handler_that_shields_finishes_what_it_began(python):
    cancelled(python, "await asyncio.shield(self.work(request))")
    call = begin(python, "held", timeout=0.3)
    held = python.nginx.gate.wait()
    assert call.result() == [False, "timeout"]
    seen(python, "cancelled True")
    held.open()
    seen(python, "worked")


def test_cancelled_call_is_not_logged_as_an_error(python):
    cancelled(python)
    python.call("app,init", "held", timeout=0.3)
    seen(python, "cancelled True")
    assert not python.nginx.log.find(r"\[error\]")


def test_call_whose_task_others_cancel_is_answered(python):
    write(
        python,
        """
async def handle(request):
    if request == b"cancel":
        for task in asyncio.all_tasks() - {asyncio.current_task()}: task.cancel()
        return "done"
    return await gate(request)
""",
    )
    call = begin(python, "held")
    python.nginx.gate.wait()
    assert python.call("app,init", "cancel") == [True, "done"]
    assert call.result() == [False, 1, "asyncio.exceptions.CancelledError"]
    assert python.call("app,init", "cancel") == [True, "done"]


# ---- the end


def test_unload_lets_running_calls_finish(python):
    write(python, "async def handle(request): return await gate(request)")
    calls = [begin(python, name) for name in "ab"]
    held = python.nginx.gate.wait_for(2)
    unload = python.nginx.begin(python.path("unload", "app,init"))
    for one in held:
        one.open("served")
    assert [call.result() for call in calls] == [[True, "served"]] * 2
    assert unload.result() == [True]


def test_handler_is_cancelled_while_its_runtime_is_unloaded(python):
    write(python, "async def handle(request): return await gate(request)")
    call = begin(python, "held", timeout=0.3)
    python.nginx.gate.wait()
    python.unload("app,init")
    assert call.result() == [False, "timeout"]


def test_unload_cancels_what_runs_on_its_own_and_closes_the_loop(python):
    write(
        python,
        """
import threading
async def tick():
    try:
        await asyncio.Event().wait()
    finally:
        print("task ended")
async def numbers():
    try:
        yield 1
    finally:
        print("generator ended")
class handle:
    def __init__(self): self.kept = []
    async def call(self, request):
        self.kept += [asyncio.create_task(tick()), numbers()]
        await self.kept[1].__anext__()
        await asyncio.get_running_loop().run_in_executor(None, threading.get_ident)
    async def aclose(self):
        print("closed")
""",
    )
    usage = python.nginx.usage()
    python.call("app,init")
    python.unload("app,init")
    for line in ("closed", "task ended", "generator ended"):
        python.nginx.log.wait(line)
    # Python's own thread stays.
    wait_for(lambda: python.nginx.usage().threads <= usage.threads + 1)


@pytest.mark.parametrize("ending", ["sys.exit(1)", "loop.stop()"])
def test_loop_is_not_ended_by_its_users(python, ending):
    write(
        python,
        f"""
import sys
async def handle(request):
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: {ending})
    await asyncio.sleep(0.01)
    return "served"
""",
    )
    assert python.call("app,init") == [True, "served"]
    assert python.call("app,init") == [True, "served"]


def test_loop_is_of_the_kind_that_is_asked_for(python):
    write(
        python,
        """
import uvloop
class handle:
    async def call(self, request):
        return type(asyncio.get_running_loop()).__module__ + (await gate(request)).decode()
""",
        "loop_factory=uvloop.new_event_loop",
    )
    call = begin(python, "held")
    python.nginx.gate.wait().open("!")
    assert call.result() == [True, "uvloop!"]
    python.unload("app,init")


def test_loop_is_running_while_the_handler_is_made_and_closed(python):
    write(
        python,
        """
class handle:
    def __init__(self): self.loop = asyncio.get_running_loop()
    async def call(self, request): return str(self.loop is asyncio.get_running_loop())
    def close(self): print("closed in", self.loop is asyncio.get_running_loop())
""",
    )
    assert python.call("app,init") == [True, "True"]
    python.unload("app,init")
    python.nginx.log.wait("closed in True")


def test_each_call_has_a_context_of_its_own(python):
    write(
        python,
        """
from contextvars import ContextVar
user = ContextVar("user", default="nobody")
async def handle(request):
    before = user.get()
    user.set(request.decode())
    return before
""",
    )
    assert [python.answer("app,init", name) for name in "ab"] == ["nobody", "nobody"]


def test_call_that_cancels_its_own_task_cancels_no_other(python):
    python.write_app(
        "app.py",
        """
        import asyncio, threading
        begun = threading.Event()
        go_on = threading.Event()
        async def handle(request):
            if request == b"hold":
                begun.set()
                go_on.wait()
            elif request == b"cancel":
                [task.cancel() for task in asyncio.all_tasks()]
            else:
                await asyncio.sleep(0.01)
            return request
        """,
    )
    python.write("control.py", "import app\n")
    for _ in range(3):
        assert python.answer("app,init", "cancel") == "cancel"
        assert python.answer("app,init", "innocent") == "innocent"


@pytest.mark.parametrize("limit", ["", ", concurrency=1"])
def test_call_that_waited_and_cancels_its_own_task_leaves_its_place(python, limit):
    python.write(
        "app.py",
        f"""
        import asyncio, resty_ffi
        async def handle(request):
            await asyncio.sleep(0)
            if request == b"cancel":
                asyncio.current_task().cancel()
            return request
        init = resty_ffi.serve(handle{limit})
        """,
    )
    for request in ("cancel", "cancel", "other"):
        assert python.answer("app,init", request) == request
    python.unload("app,init")


NO_MEMORY = """
    import asyncio
    import _testcapi
    {kind} handle(request):
        _testcapi.remove_mem_hooks()
        if request != b"well":
            _testcapi.set_nomemory(int(request), int(request) + 1)
        return "answered"
"""


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_runtime_goes_on_when_memory_ran_out(python, kind):
    """Wherever it did: one allocation after another fails, in each of the calls."""
    python.write_app("app.py", NO_MEMORY.format(kind=kind))
    nginx = python.start(
        lua={
            "/": """
                local rt = ngx.load_ffi("ffi_python3", "app,init")
                local failed = 0
                for n = 0, 100 do
                    local calls = {}
                    for i, request in ipairs{tostring(n), "well", "well"} do
                        calls[i] = ngx.thread.spawn(rt.call, rt, request, {timeout = 5})
                    end
                    for i = 1, 3 do
                        local _, ok, res = ngx.thread.wait(calls[i])
                        if not ok and res == "timeout" then
                            return n
                        end
                    end
                    local ok, res = rt:call("well", {timeout = 5})
                    if not ok then
                        ok, res = rt:call("well", {timeout = 5})
                    end
                    if not ok then
                        return n, res
                    end
                end
                return "well"
            """
        }
    )
    assert nginx.values() == ["well"]
