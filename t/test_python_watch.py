"""What the log says of a handler whose call has passed its deadline."""

import re

import pytest
from harness.wait import wait_for

PREFIX = r'runtime "ffi_python3 app,init": '


def stack(nginx):
    """What was logged of the handler, without what is the same in all lines."""
    nginx.log.wait(PREFIX + "its handler is at:")
    lines = nginx.log.find(PREFIX)
    start = next(i for i, line in enumerate(lines) if line.endswith("its handler is at:"))
    return [re.split(PREFIX, line)[1] for line in lines[start + 1 :]]


def places(nginx):
    """The functions of the stack, outermost first, each with its line."""
    text = "\n".join(stack(nginx))
    return re.findall(r'File "[^"]*", line \d+, in (\w+)\n +(.*)', text)


BLOCKED = """
    import threading
    never = threading.Event()
    def inner():
        never.wait()
    def handle(request):
        inner()
"""


def test_overdue_handler_is_logged_with_its_stack(python):
    path = python.write_app("app.py", BLOCKED)
    python.start(http="lua_ffi_shutdown_timeout 300ms;")
    assert python.call("app,init", timeout=0.5) == [False, "timeout"]
    python.nginx.log.wait(r"timed out after 500 ms, still running")
    assert wait_for(lambda: places(python.nginx)[:2]) == [
        ("handle", "inner()"),
        ("inner", "never.wait()"),
    ]
    assert stack(python.nginx)[0] == f'  File "{path}", line 8, in handle'


def test_stack_bears_the_id_of_the_request(python):
    python.write_app("app.py", BLOCKED)
    python.start(http="lua_ffi_request_id id7; lua_ffi_shutdown_timeout 300ms;")
    python.call("app,init", timeout=0.5)
    python.nginx.log.wait(r'"ffi_python3 app,init", request "id7": +never.wait\(\)')


def test_stack_is_that_of_the_thread_that_has_the_call(python):
    python.write(
        "app.py",
        """
        import threading, resty_ffi
        never = threading.Event()
        held = threading.Semaphore(0)
        class Handler:
            def other(self, request):
                held.release()
                never.wait()
            def late(self, request):
                for _ in range(2): held.acquire()
                never.wait()
        init = resty_ffi.serve(Handler, threads=3)
        """,
    )
    python.start(http="lua_ffi_shutdown_timeout 300ms;")
    others = [python.path("call", "app,init", method="other", timeout=60) for _ in range(2)]
    for path in others:
        python.nginx.begin(path)
    assert python.call("app,init", method="late", timeout=1) == [False, "timeout"]
    assert wait_for(lambda: [name for name, _ in places(python.nginx)][:1]) == ["late"]
    python.nginx.stop()


def test_async_handler_that_blocks_its_loop_is_logged(python):
    python.write_app(
        "app.py",
        """
        import asyncio, threading
        never = threading.Event()
        async def inner():
            await asyncio.sleep(0.001)
            never.wait()
        async def handle(request):
            await inner()
        """,
    )
    python.start(http="lua_ffi_shutdown_timeout 300ms;")
    assert python.call("app,init", timeout=0.5) == [False, "timeout"]
    assert wait_for(lambda: places(python.nginx)[:2]) == [
        ("handle", "await inner()"),
        ("inner", "never.wait()"),
    ]


def test_async_handler_that_will_not_be_cancelled_is_logged(python):
    python.write_app(
        "app.py",
        """
        import asyncio
        async def inner():
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass
            await asyncio.sleep(3600)
        async def handle(request):
            await inner()
        """,
    )
    python.start(http="lua_ffi_shutdown_timeout 300ms;")
    assert python.call("app,init", timeout=0.5) == [False, "timeout"]
    names = wait_for(lambda: places(python.nginx)[:2])
    assert names[0] == ("handle", "await inner()")
    assert names[1][0] == "inner"


def test_call_that_nobody_has_polled_has_no_stack(python):
    python.write_app("app.py", BLOCKED)
    python.start(http="lua_ffi_shutdown_timeout 300ms;")
    sockets = python.nginx.usage().sockets
    first = python.nginx.begin(python.path("call", "app,init", timeout=1))
    wait_for(lambda: python.nginx.usage().sockets > sockets)
    late = python.nginx.begin(python.path("call", "app,init", timeout=0.5))
    assert late.result() == [False, "timeout"]
    assert first.result() == [False, "timeout"]
    stack(python.nginx)
    assert len(python.nginx.log.find("its handler is at:")) == 1


def test_handler_that_serves_by_itself_has_no_stack_but_the_line(python):
    python.write(
        "app.py",
        """
        import _resty_ffi
        def init(cfg, tq): pass
        """,
    )
    assert python.call("app,init", timeout=0.5) == [False, "timeout"]
    python.nginx.log.wait("timed out after 500 ms, never polled")


@pytest.mark.parametrize("name", ["QUIT", "TERM"])
def test_worker_ends_although_a_handler_never_gives_the_interpreter_back(python, name):
    python.write_app(
        "app.py",
        """
        import ctypes
        def handle(request):
            ctypes.PyDLL(None).sleep(3600)
        """,
    )
    python.start(http="lua_ffi_shutdown_timeout 300ms;")
    assert python.call("app,init", timeout=0.5) == [False, "timeout"]
    python.nginx.log.wait("still running")
    assert python.nginx.stop(name, deadline=10) == 0


def test_deep_stack_is_cut(python):
    python.write_app(
        "app.py",
        """
        import threading
        never = threading.Event()
        def even(depth):
            return odd(depth - 1) if depth else never.wait()
        def odd(depth):
            return even(depth - 1)
        def handle(request):
            return even(300)
        """,
    )
    python.start(http="lua_ffi_shutdown_timeout 300ms;")
    python.call("app,init", timeout=0.5)
    python.nginx.log.wait(r"never\.wait")
    assert len(places(python.nginx)) <= 64
