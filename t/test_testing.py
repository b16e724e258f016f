"""resty_ffi.testing: handlers without nginx."""

import array
import asyncio
import subprocess
import sys
import threading
import time
from contextvars import ContextVar

import pytest
import resty_ffi
from resty_ffi.testing import Runtime


class KV:
    closed = None

    def __init__(self, cfg):
        self.values = dict(pair.split("=") for pair in cfg.split() if pair)

    def get(self, request):
        return self.values.get(request.decode())

    async def later(self, request):
        await asyncio.sleep(0)
        return request

    def close(self):
        KV.closed = self


class Plain:
    def __init__(self):
        self.thread = threading.get_ident()

    def same_thread(self, request):
        return str(self.thread == threading.get_ident())

    def __call__(self, request):
        return request


def test_methods_are_called_by_name():
    with Runtime(KV, cfg="a=1") as kv:
        assert kv.get("a") == b"1"
        assert kv.get(b"b") is None
        assert kv.later("x") == b"x"


def test_plain_call_and_names_that_are_taken():
    with Runtime(Plain) as plain:
        assert plain(b"x") == b"x"
        assert plain.call("same_thread") == b"True"


def test_entry_of_serve_is_taken():
    entry = resty_ffi.serve(lambda request: request, threads=2)
    with Runtime(entry) as rt:
        assert rt.echo("x") == b"x"


def test_error_has_rc_and_message():
    def handle(request):
        raise resty_ffi.Error(404, "gone")

    with Runtime(handle) as rt, pytest.raises(resty_ffi.Error) as caught:
        rt.get()
    assert (caught.value.rc, caught.value.message) == (404, "gone")


def test_exception_is_the_cause_of_the_error():
    with Runtime(lambda request: {}["key"]) as rt, pytest.raises(resty_ffi.Error) as caught:
        rt.get()
    assert (caught.value.rc, caught.value.message) == (1, "KeyError: 'key'")
    assert isinstance(caught.value.__cause__, KeyError)


def test_wrong_type_is_an_error():
    with Runtime(lambda request: 5) as rt, pytest.raises(resty_ffi.Error) as caught:
        rt.get()
    assert caught.value.message == "TypeError: handler returned int, not bytes, str or None"


def test_unknown_method_is_an_error():
    with Runtime(KV) as kv, pytest.raises(resty_ffi.Error) as caught:
        kv.put("a=1")
    assert caught.value.message == "no method 'put'"


def test_timeout_cancels_an_async_handler():
    cancelled = threading.Event()

    async def handle(request):
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    with Runtime(handle, timeout=0.05) as rt:
        with pytest.raises(TimeoutError):
            rt.get()
        assert cancelled.wait(20)


def test_timeout_is_seen_by_a_handler_that_asks():
    seen = threading.Event()

    def handle(request):
        task = resty_ffi.current_task()
        while not task.is_abandoned():
            time.sleep(0.001)
        seen.set()

    with Runtime(handle, timeout=0.05) as rt:
        with pytest.raises(TimeoutError):
            rt.get()
        assert seen.wait(20)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_handler_knows_its_call(kind):
    def tell(request):
        task = resty_ffi.current_task()
        return f"{task.method} {task.request_id} {task.traceparent} {0 < task.time_left() <= 60}"

    async def tell_async(request):
        return tell(request)

    with Runtime(tell if kind == "sync" else tell_async, request_id="r1", traceparent="t1") as rt:
        assert rt.get() == b"get r1 t1 True"
    with pytest.raises(RuntimeError):
        resty_ffi.current_task()


def test_handler_is_closed():
    with Runtime(KV):
        KV.closed = None
    assert isinstance(KV.closed, KV)


def test_factory_that_fails_is_raised():
    def make(cfg):
        raise ValueError(cfg)

    with pytest.raises(ValueError, match="bad"), Runtime(make, cfg="bad"):
        pass


def test_async_factory_and_aclose():
    ended = []

    class Handler:
        async def get(self, request):
            return b"x"

        async def aclose(self):
            ended.append(asyncio.get_running_loop())

    async def make(cfg):
        return Handler()

    with Runtime(make) as rt:
        assert rt.get() == b"x"
    assert len(ended) == 1


def test_no_thread_is_left():
    before = threading.active_count()
    for handler in (Plain, KV):
        with Runtime(handler) as rt:
            rt.call("get" if handler is KV else "", b"x")
    assert threading.active_count() == before


@pytest.mark.parametrize("kind", ["sync", "async"])
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt("x"), GeneratorExit("x")])
def test_whatever_is_raised_is_the_error_of_the_call(kind, error):
    def fail(request):
        raise error

    async def fail_async(request):
        raise error

    with Runtime(fail if kind == "sync" else fail_async) as rt:
        for _ in range(2):
            with pytest.raises(resty_ffi.Error) as caught:
                rt.get()
            assert caught.value.rc == 1
            assert caught.value.message == f"{type(error).__name__}: {error}"


def test_exit_of_a_task_of_the_handlers_own_does_not_stop_the_loop(caplog):
    async def leave():
        sys.exit(3)

    async def handle(request):
        task = asyncio.ensure_future(leave())
        await asyncio.wait([task])
        return str(task.exception())

    with Runtime(handle) as rt:
        assert rt.get() == b"3"
        assert rt.get() == b"3"
    assert "a task has stopped the loop" in caplog.text


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_exit_of_a_factory_is_raised_and_leaves_no_thread(kind):
    before = threading.active_count()

    def make(cfg):
        sys.exit(3)

    async def make_async(cfg):
        sys.exit(3)

    with pytest.raises(SystemExit), Runtime(make if kind == "sync" else make_async):
        pass
    assert threading.active_count() == before


def test_interrupt_of_the_caller_is_raised():
    code = """
import os, signal, threading
from resty_ffi.testing import Runtime
# Where tests run in the background it is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
interrupted = threading.Event()
def handle(request):
    os.kill(os.getpid(), signal.SIGINT)
    interrupted.wait(20)
with Runtime(handle) as rt:
    try:
        rt.get()
    except KeyboardInterrupt:
        print("interrupted")
    interrupted.set()
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert run.stdout == "interrupted\n", run.stderr


@pytest.mark.parametrize("error", [ValueError("bad end"), SystemExit("bad end")])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_close_that_fails_is_logged_and_leaves_no_thread(kind, error, caplog):
    class Handler:
        def get(self, request):
            return request

        def close(self):
            raise error

    class AsyncHandler:
        async def get(self, request):
            return request

        async def aclose(self):
            raise error

    before = threading.active_count()
    with Runtime(Handler if kind == "sync" else AsyncHandler) as rt:
        assert rt.get("x") == b"x"
    assert f"{type(error).__name__}: bad end" in caplog.text
    assert threading.active_count() == before


@pytest.mark.parametrize(
    "response", [bytearray(b"abc"), memoryview(b"abc"), array.array("b", b"abc")]
)
def test_any_buffer_is_an_answer(response):
    with Runtime(lambda request: response) as rt:
        assert rt.get() == b"abc"


def test_buffer_in_pieces_is_an_error_as_in_nginx():
    pieces = memoryview(b"abcd")[::2]
    with Runtime(lambda request: pieces) as rt, pytest.raises(resty_ffi.Error, match="BufferError"):
        rt.get()


def test_each_call_has_a_context_of_its_own():
    user = ContextVar("user", default="nobody")

    def handle(request):
        before = user.get()
        user.set(request.decode())
        return before

    with Runtime(handle) as rt:
        assert rt.get("a") == b"nobody"
        assert rt.get("b") == b"nobody"


def test_tasks_that_are_left_are_cancelled_to_their_end():
    ended = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    class Handler:
        async def get(self, request):
            self.task = asyncio.ensure_future(work())
            await asyncio.sleep(0)

    with Runtime(Handler) as rt:
        rt.get()
    assert ended == [True]
