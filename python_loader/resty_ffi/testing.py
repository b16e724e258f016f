"""Handlers without nginx, for unit tests.

    with Runtime(KV, cfg="capacity=10") as kv:
        kv.put(b"a=1")
        assert kv.get(b"a") == b"1"

A real nginx for tests is what the pytest fixture resty_ffi_nginx starts.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Callable, Iterator, Protocol

from resty_ffi import _handler, _task
from resty_ffi._error import Error, describe
from resty_ffi._handler import Dispatcher
from resty_ffi._serve import Entry, Request, serve

_FAILED = 1
"""The rc of a call whose handler raised something else than Error."""

_log = logging.getLogger(__name__)


class Runtime:
    """A handler, or what serve() made of it, called as Lua calls it.

    It is made when the with block is entered, which raises what making it
    raises, and ended when it is left: what that raises is logged, by this
    module's logger. Any thread may call it.
    """

    def __init__(
        self,
        handler: Any,
        cfg: str = "",
        *,
        timeout: float = 60.0,
        request_id: str | None = None,
        traceparent: str | None = None,
    ) -> None:
        """timeout: seconds that a call may take."""
        self._entry = handler if isinstance(handler, Entry) else serve(handler)
        self._cfg = cfg
        self._timeout = timeout
        self._request_id = request_id
        self._traceparent = traceparent

    def __enter__(self) -> Runtime:
        self._server = _start(self._entry, self._cfg)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.close()

    def __getattr__(self, method: str) -> Callable[..., bytes | None]:
        if method.startswith("_"):
            raise AttributeError(method)
        return lambda request=None: self.call(method, request)

    def __call__(self, request: str | Request = None) -> bytes | None:
        return self.call("", request)

    def call(self, method: str, request: str | Request = None) -> bytes | None:
        """What Lua gets of rt:method(request).

        Raises Error with the rc and the message of a call that failed, the
        handler's own exception, SystemExit included, being its __cause__;
        TimeoutError.
        """
        deadline = time.monotonic() + self._timeout
        task = _Task(method, self._request_id, self._traceparent, deadline)
        data = request.encode() if isinstance(request, str) else request
        future = self._server.submit(task, data)
        try:
            return future.result(self._timeout)
        except Error:
            raise
        except FutureTimeout:
            task.abandon()
            raise TimeoutError(f"{method or 'the call'} took more than {self._timeout} s") from None
        except BaseException:  # Ctrl-C, here
            task.abandon()
            raise
        finally:
            future.cancel()
            task.end()


class _Task:
    """The call that current_task() tells of."""

    def __init__(
        self, method: str, request_id: str | None, traceparent: str | None, deadline: float
    ) -> None:
        self.method = method
        self.request_id = request_id
        self.traceparent = traceparent
        self.deadline = deadline
        self._abandoned = False
        self._ended = False

    def time_left(self) -> float:
        return 0.0 if self._ended else max(0.0, self.deadline - time.monotonic())

    def is_abandoned(self) -> bool:
        return self._abandoned

    def abandon(self) -> None:
        self._abandoned = True

    def end(self) -> None:
        self._ended = True


class _Server(Protocol):
    def submit(self, task: _Task, request: Request) -> Future[bytes | None]:
        """The future raises nothing but Error."""

    def close(self) -> None:
        """What goes wrong is logged."""


def _start(entry: Entry, cfg: str) -> _Server:
    if _handler.is_async(entry.handler):
        return _Loop(entry, lambda: entry.make(cfg))
    threads = _Threads(entry)
    try:
        handler = threads.run(entry.make, cfg)
        if not _handler.is_async(handler):
            threads.serve(handler)
            return threads
    except BaseException:
        threads.end()
        raise
    threads.end()
    return _Loop(entry, lambda: handler)


class _Threads:
    def __init__(self, entry: Entry) -> None:
        self._pool = ThreadPoolExecutor(entry.threads, "resty-ffi")

    def run(self, function: Callable[..., Any], *args: Any) -> Any:
        return self._pool.submit(function, *args).result()

    def serve(self, handler: Any) -> None:
        self._dispatcher = Dispatcher(handler)

    def submit(self, task: _Task, request: Request) -> Future[bytes | None]:
        return self._pool.submit(contextvars.Context().run, self._answer, task, request)

    def close(self) -> None:
        try:
            self.run(self._close)
        finally:
            self.end()

    def end(self) -> None:
        self._pool.shutdown()

    def _answer(self, task: _Task, request: Request) -> bytes | None:
        _task.in_context.set(task)
        with _errors(task):
            return _as_bytes(self._dispatcher.find(task.method)(request))

    def _close(self) -> None:
        try:
            self._dispatcher.close()
        except BaseException:
            _log.exception("the handler's close() has failed")


class _Loop:
    def __init__(self, entry: Entry, make: Callable[[], Any]) -> None:
        self._loop = (entry.loop_factory or asyncio.new_event_loop)()
        self._concurrency = entry.concurrency or sys.maxsize
        self._is_ending = False
        self._thread = threading.Thread(target=self._serve, name="resty-ffi")
        self._thread.start()
        try:
            failure = self._run(self._make(make))
            if failure is not None:
                raise failure
        except BaseException:
            self._end()
            raise

    def submit(self, task: _Task, request: Request) -> Future[bytes | None]:
        return asyncio.run_coroutine_threadsafe(self._answer(task, request), self._loop)

    def close(self) -> None:
        try:
            self._run(self._close())
        finally:
            self._end()

    def _serve(self) -> None:
        while not self._is_ending:
            try:
                self._loop.run_forever()
            except BaseException:  # sys.exit() in a task of the handler's own
                _log.exception("a task has stopped the loop")

    def _run(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    async def _make(self, make: Callable[[], Any]) -> BaseException | None:
        """What it raises is returned: some of that would stop the loop."""
        try:
            handler = make()
            if inspect.isawaitable(handler):
                handler = await handler
            self._dispatcher = Dispatcher(handler, in_loop=True)
            self._turn = asyncio.Semaphore(self._concurrency)
        except BaseException as error:
            return error
        return None

    async def _answer(self, task: _Task, request: Request) -> bytes | None:
        _task.in_context.set(task)
        with _errors(task):
            async with self._turn:
                return _as_bytes(await self._dispatcher.find(task.method)(request))

    async def _close(self) -> None:
        try:
            ended = self._dispatcher.close()
            if inspect.isawaitable(ended):
                await ended
        except BaseException:
            _log.exception("the handler's close() has failed")

        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await self._loop.shutdown_asyncgens()
        if sys.version_info >= (3, 9):
            await self._loop.shutdown_default_executor()

    def _end(self) -> None:
        self._is_ending = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def _errors(task: _Task) -> Iterator[None]:
    """Whatever is raised becomes the Error of the call."""
    try:
        yield
    except Error:
        raise
    except BaseException as error:
        if isinstance(error, asyncio.CancelledError) and task.is_abandoned():
            raise
        raise Error(_FAILED, describe(error)) from error


def _as_bytes(response: Any) -> bytes | None:
    """What reaches Lua of the handler's answer."""
    if isinstance(response, str):
        return response.encode()
    if response is None or isinstance(response, bytes):
        return response
    try:
        view = memoryview(response)
    except TypeError:
        kind = type(response).__name__
        raise TypeError(f"handler returned {kind}, not bytes, str or None") from None
    if not view.c_contiguous:
        raise BufferError("the buffer is not contiguous: return its tobytes()")
    return view.tobytes()
