"""current_task(), resty_ffi.Error, and the threads of a handler."""

import pytest

TASK = """
    import resty_ffi
    {kind} handle(request):
        task = resty_ffi.current_task()
        return repr({what})
    init = resty_ffi.serve(handle)
"""

KINDS = pytest.mark.parametrize("kind", ["def", "async def"])


@KINDS
@pytest.mark.parametrize(
    ("what", "value"),
    [
        ("task.method", "'get'"),
        ("task is resty_ffi.current_task()", "True"),
        ("task.is_abandoned()", "False"),
        ("4 < task.time_left() <= 5", "True"),
        ("task.request_id", "None"),
        ("-1 < task.deadline - __import__('time').monotonic() - task.time_left() < 1", "True"),
    ],
)
def test_handler_knows_its_call(python, kind, what, value):
    python.write("app.py", TASK.format(kind=kind, what=what))
    assert python.call("app,init", method="get", timeout=5) == [True, value]


@KINDS
def test_request_id_is_that_of_the_directive(python, kind):
    python.write("app.py", TASK.format(kind=kind, what="task.request_id"))
    python.start(http="lua_ffi_request_id $arg_request;")
    assert python.call("app,init", "id-7") == [True, "'id-7'"]


@KINDS
def test_method_may_be_any_bytes(python, kind):
    python.write("app.py", TASK.format(kind=kind, what="task.method"))
    assert python.call("app,init", method=b"\xff") == [True, r"'\udcff'"]


@KINDS
def test_task_is_of_no_use_after_its_answer(python, kind):
    python.write(
        "app.py",
        f"""
        import resty_ffi
        kept = []
        {kind} handle(request):
            kept.append(resty_ffi.current_task())
            try:
                return kept[0].method
            except RuntimeError as error:
                return f"{{error}} {{kept[0].time_left()}} {{kept[0].is_abandoned()}}"
        init = resty_ffi.serve(handle)
        """,
    )
    assert python.call("app,init") == [True, "call"]
    assert python.call("app,init") == [True, "the call was answered already 0.0 True"]


def test_there_is_no_task_outside_of_a_call(python):
    python.write("app.py", "import resty_ffi\nresty_ffi.current_task()")
    assert python.load("app,init") == [False, "RuntimeError: no call is being served here"]


def test_sync_handler_can_ask_whether_its_caller_has_gone(python):
    python.write_app(
        "app.py",
        """
        import time
        from resty_ffi import current_task
        seen = []
        def handle(request):
            if request == b"seen": return str(seen)
            while not current_task().is_abandoned(): time.sleep(0.001)
            seen.append(current_task().time_left())
        """,
    )
    assert python.call("app,init", timeout=0.3) == [False, "timeout"]
    assert python.call("app,init", "seen") == [True, "[0.0]"]


def test_task_is_known_in_the_threads_of_an_async_handler(python):
    python.write_app(
        "app.py",
        """
        import asyncio, contextvars
        from resty_ffi import current_task
        async def handle(request):
            context = contextvars.copy_context()
            run = asyncio.get_running_loop().run_in_executor
            return await run(None, context.run, lambda: current_task().method)
        """,
    )
    assert python.call("app,init", method="get") == [True, "get"]


# ---- errors


@KINDS
@pytest.mark.parametrize(
    ("raised", "values"),
    [
        ("Error(7, 'no luck')", [False, 7, "no luck"]),
        ("Error(-7, b'\\xff')", [False, -7, "\xff"]),
        ("Error(7)", [False, 7]),
        ("Error(7, '')", [False, 7, ""]),
        ("NotFound(404, 'gone')", [False, 404, "gone"]),
        ("Error(0, 'no luck')", [False, 1, "ValueError: rc must be a number other than 0"]),
        ("Error(2**31)", [False, 1, "ValueError: rc must be a number other than 0"]),
        ("Error('7')", [False, 1, "ValueError: rc must be a number other than 0"]),
        ("Error(7, 7)", [False, 1, "TypeError: message must be str, bytes or None, not int"]),
    ],
)
def test_error_sets_rc_and_message(python, kind, raised, values):
    python.write(
        "app.py",
        f"""
        from resty_ffi import Error, serve
        class NotFound(Error): pass
        {kind} handle(request): raise {raised}
        init = serve(handle)
        """,
    )
    got = python.call("app,init")
    assert got[:2] == values[:2]
    assert [text[: len(values[2])] for text in got[2:]] == values[2:]


@KINDS
def test_error_is_an_answer_and_not_logged(python, kind):
    python.write(
        "app.py",
        f"""
        import resty_ffi
        {kind} handle(request): raise resty_ffi.Error(7, "no luck")
        init = resty_ffi.serve(handle)
        """,
    )
    python.call("app,init")
    assert not python.nginx.log.find("no luck|Traceback")


def test_error_of_the_load_is_its_reason(python):
    python.write("app.py", "import resty_ffi\nraise resty_ffi.Error(7, 'no luck')")
    assert python.load("app,init") == [False, "resty_ffi.Error: 7: no luck"]


# ---- logs


@KINDS
@pytest.mark.parametrize(
    "source", ["print('said')", "log.error('said')", "warn('said')", "raise OSError('said')"]
)
def test_lines_of_a_call_bear_its_request_id(python, kind, source):
    python.write(
        "app.py",
        f"""
        import logging, resty_ffi
        from warnings import warn
        log = logging.getLogger(__name__)
        {kind} handle(request): {source}
        init = resty_ffi.serve(handle)
        """,
    )
    python.start(http="lua_ffi_request_id $arg_request;")
    python.call("app,init", "id7")
    python.nginx.log.wait('runtime "ffi_python3 app,init", request "id7": .*said')


def test_background_task_of_an_answered_call_logs_in_the_name_of_the_runtime(python):
    python.write_app(
        "app.py",
        """
        import asyncio
        class handle:
            def __init__(self): self.kept = []
            async def call(self, request):
                self.kept.append(asyncio.create_task(self.speak()))
            async def speak(self):
                await asyncio.sleep(0.01)
                print("spoken")
        """,
    )
    python.start(http="lua_ffi_request_id $arg_request;")
    python.call("app,init", "id7")
    python.nginx.log.wait('runtime "ffi_python3 app,init": spoken')


# ---- threads


GATE = """
    import socket, threading, resty_ffi
    def handle(request):
        with socket.socket(socket.AF_UNIX) as gate:
            gate.connect("gate")
            gate.sendall(request + b"\\n")
            return gate.recv(100).decode() + threading.current_thread().name
    init = resty_ffi.serve(handle, threads=3)
"""


def test_threads_serve_at_the_same_time(python):
    python.write("app.py", GATE)
    calls = [python.nginx.begin(python.path("call", "app,init", name)) for name in "abc"]
    for held in python.nginx.gate.wait_for(3):
        held.open("on ")
    names = sorted(call.result()[1] for call in calls)
    assert names == ["on app,init", "on app,init #2", "on app,init #3"]


def test_handler_that_blocks_for_ever_does_not_hold_up_the_other_threads(python):
    python.write("app.py", GATE)
    assert python.call("app,init", "stuck", timeout=0.3) == [False, "timeout"]
    calls = [python.nginx.begin(python.path("call", "app,init", name)) for name in "ab"]
    python.nginx.gate.wait()
    for held in python.nginx.gate.wait_for(2):
        held.open()
    assert all(call.result()[0] for call in calls)


def test_unload_ends_every_thread(python):
    python.write("app.py", GATE)
    python.load("app,init")
    calls = [python.nginx.begin(python.path("call", "app,init", name)) for name in "abc"]
    held = python.nginx.gate.wait_for(3)
    unload = python.nginx.begin(python.path("unload", "app,init"))
    for one in held:
        one.open()
    assert all(call.result()[0] for call in calls)
    assert unload.result() == [True]
