"""Servers of async handlers: each has an event loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import sys
from typing import Any, Awaitable

import _resty_ffi

from resty_ffi import _task
from resty_ffi._error import Message
from resty_ffi._handler import Dispatcher
from resty_ffi._report import answer, report
from resty_ffi._serve import Entry

_BATCH = 64
"""Calls that are answered before the loop does something else."""

_NONE, _MORE, _END = 0, 1, -1
"""What _resty_ffi.calls() ends with."""

# Without a turn of the loop.
_EAGER: Any = {"eager_start": True} if sys.version_info >= (3, 12) else {}


_running: set[LoopServer] = set()


class LoopServer:
    """Answers calls in tasks of an event loop.

    Calls that do not wait for anything share a task; each other has its own.
    """

    def __init__(self, entry: Entry, text: str, tq: int, *made: object) -> None:
        """Makes the handler inside the loop, unless it is given."""
        self._tq = tq
        self._pid = os.getpid()
        self._concurrency = entry.concurrency or sys.maxsize
        self._running: dict[int, asyncio.Task[int]] = {}
        """Calls that wait for something, by their handles."""
        self._handles: dict[asyncio.Task[int], int] = {}
        """The same the other way round."""
        self._is_draining = False
        self._again = False
        self._loop = (entry.loop_factory or asyncio.new_event_loop)()
        asyncio.set_event_loop(self._loop)
        self._ended = asyncio.Event()
        try:
            handler = made[0] if made else self._loop.run_until_complete(_make(entry, text))
            self._dispatcher = Dispatcher(handler, in_loop=True)
            # Our own, as the queue's is closed with the last answer.
            self._fd = os.dup(_resty_ffi.event_fd(tq))
        except BaseException:
            _close(self._loop)
            raise

    def run(self) -> None:
        self._loop.add_reader(self._fd, self._wake)
        self._loop.call_soon(self._drain)
        _running.add(self)
        while not self._run_to_end():
            if os.getpid() != self._pid:
                # A forked child, see stop().
                os._exit(0)
        _running.discard(self)
        self._loop.remove_reader(self._fd)

    def close(self) -> None:
        try:
            self._loop.run_until_complete(self._close_handler())
        except BaseException as error:
            report(error)
        os.close(self._fd)
        _close(self._loop)

    def find_waiting(self, handle: int) -> Any:
        task: Any = self._running.get(handle)
        calls = task.get_coro().cr_await if task is not None else None
        # None while it runs.
        return getattr(calls, "coroutine", None)

    def stop(self) -> None:
        """In a forked child: its event loop would take from the parent's what
        both wait for."""
        self._loop.stop()

    def _run_to_end(self) -> bool:
        """False when something else has stopped the loop: sys.exit() in a task,
        loop.stop(), a cancel() of all tasks. That is not theirs to decide."""
        try:
            self._loop.run_until_complete(self._wait_for_end())
        except BaseException as error:
            report(error)
            return False
        return True

    async def _wait_for_end(self) -> None:
        await self._ended.wait()
        while True:
            running = [task for task in self._running.values() if not task.done()]
            if not running:
                break
            await asyncio.wait(running)

    def _wake(self) -> None:
        """Something happened to the queue."""
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 8)
        while True:
            handles = _resty_ffi.poll_abandoned(self._tq)
            if not handles:
                break
            for handle in handles:
                if handle in self._running:
                    self._running[handle].cancel()
        self._drain()

    def _drain(self) -> None:
        """Has calls answered until none waits, which arms the descriptor."""
        self._again = self._is_draining
        if self._is_draining or self._ended.is_set() or len(self._running) >= self._concurrency:
            return
        self._is_draining = True
        try:
            task = asyncio.Task(self._answer_calls(), loop=self._loop, **_EAGER)
        except MemoryError as error:
            report(error)
            self._go_on()
            return
        if task.done():
            self._settle(task)
        else:
            task.add_done_callback(self._settle)

    async def _answer_calls(self) -> int:
        return await _resty_ffi.calls(
            self._tq,
            _BATCH,
            self._dispatcher.function,
            self._dispatcher.methods,
            _error_answer,
            _task.in_context,
            self._keep,
            asyncio.current_task,
        )

    def _keep(self, handle: int) -> None:
        """The call that runs has to wait for something."""
        task = asyncio.current_task()
        assert task is not None
        self._running[handle] = task
        self._handles[task] = handle
        self._go_on()

    def _go_on(self) -> None:
        self._is_draining = False
        self._loop.call_soon(self._drain)

    def _settle(self, task: asyncio.Task[int]) -> None:
        """A task has ended."""
        handle = self._handles.pop(task, None)
        if handle is None:
            self._is_draining = False
        else:
            del self._running[handle]

        outcome = _outcome(task)
        if outcome == _END:
            self._ended.set()
        elif outcome != _NONE or self._again:
            self._loop.call_soon(self._drain)

    async def _close_handler(self) -> None:
        closing = self._dispatcher.close()
        if inspect.isawaitable(closing):
            await closing


def _outcome(task: asyncio.Task[int]) -> int:
    try:
        return task.result()
    except asyncio.CancelledError:
        # By a call that it had answered already.
        return _MORE
    except BaseException as error:
        report(error)
        return _MORE


def _error_answer(error: BaseException) -> tuple[int, Message]:
    task = _task.find()
    if isinstance(error, asyncio.CancelledError) and task is not None and task.is_abandoned():
        return 1, "cancelled"
    return answer(error)


def _stop_all() -> None:
    for server in list(_running):
        server.stop()


os.register_at_fork(after_in_child=_stop_all)


async def _make(entry: Entry, text: str) -> Any:
    made = entry.make(text)
    return await made if inspect.isawaitable(made) else made


def _close(loop: asyncio.AbstractEventLoop) -> None:
    """As asyncio.run() does: what still runs is cancelled."""
    try:
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        _run(loop, asyncio.gather(*tasks, return_exceptions=True))
        _run(loop, loop.shutdown_asyncgens())
        if sys.version_info >= (3, 9):
            _run(loop, loop.shutdown_default_executor())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _run(loop: asyncio.AbstractEventLoop, ending: Awaitable[Any]) -> None:
    try:
        loop.run_until_complete(ending)
    except BaseException as error:
        report(error)
