"""Handlers that do what they should not, and the runtimes beside them."""

import signal

import pytest
import requests
from harness import target

WELL = "def handle(request): return request"


def check_well(python):
    """Another runtime of the same interpreter is as well as before."""
    python.write_app("well.py", WELL)
    assert python.answer("well,init", "hello") == "hello"


def test_huge_answers_and_requests_pass(python):
    python.write_app("app.py", "def handle(request): return bytes(64 << 20)")
    python.write_app("size.py", "def handle(request): return str(len(request))")
    nginx = python.start(
        lua={
            "/": """
                local ok, res = ngx.load_ffi("ffi_python3", "app,init"):call()
                local _, size = ngx.load_ffi("ffi_python3", "size,init"):call(res)
                return ok, #res, size
            """
        },
    )
    assert nginx.values() == [True, 64 << 20, str(64 << 20)]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("handle(request)", "RecursionError: maximum recursion depth exceeded"),
        ("return bytes(1 << 60)", "MemoryError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("import signal; signal.signal(signal.SIGTERM, print)", "ValueError: signal only works"),
        ("return object()", "TypeError: handler returned object"),
    ],
)
def test_exception_ends_its_call_only(python, body, error):
    python.write_app("app.py", f"def handle(request):\n    {body}")
    for _ in range(3):
        values = python.call("app,init")
        assert values[:2] == [False, 1]
        assert values[2].startswith(error)
    check_well(python)


def test_deep_structures_do_not_overflow_the_stack(python):
    python.write_app(
        "app.py",
        """
        import json, sys
        def handle(request):
            sys.setrecursionlimit(10_000)
            deep = []
            for _ in range(200_000):
                deep = [deep]
            try:
                return json.dumps(deep)
            except RecursionError:
                return "too deep"
            finally:
                while deep:
                    deep = deep.pop()
        """,
    )
    assert python.answer("app,init") == "too deep"
    check_well(python)


def test_thread_that_blocks_leaves_the_others(python):
    python.write(
        "app.py",
        """
        import threading, resty_ffi
        stuck = threading.Event()
        class Handler:
            def block(self, request): stuck.wait()
            def free(self, request): stuck.set()
            def echo(self, request): return request
        init = resty_ffi.serve(Handler, threads=2)
        """,
    )
    assert python.call("app,init", "x", method="block", timeout=0.3) == [False, "timeout"]
    assert python.call("app,init", "hello", method="echo") == [True, "hello"]
    assert python.call("app,init", "x", method="free") == [True]


def test_exit_codes_of_a_thousand_children(python):
    python.write_app(
        "app.py",
        """
        import subprocess
        def handle(request):
            started = [
                subprocess.Popen(["sh", "-c", f"exit {number % 256}"]) for number in range(1000)
            ]
            return str(sum(child.wait() != number % 256 for number, child in enumerate(started)))
        """,
    )
    assert python.answer("app,init") == "0"


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize(
    ("child", "status"), [("os._exit(7)", 7), ("return 'child'", 0), ("raise ValueError", 1)]
)
def test_forked_child_ends_where_its_handler_does(python, kind, child, status):
    """What it would answer, the parent answers."""
    python.write_app(
        "app.py",
        f"""
        import os
        {kind} handle(request):
            pid = os.fork()
            if pid == 0:
                {child}
            return str(os.WEXITSTATUS(os.waitpid(pid, 0)[1]))
        """,
    )
    for _ in range(3):
        assert python.answer("app,init") == str(status)
    check_well(python)


@pytest.mark.parametrize("child", ["await asyncio.sleep(0)", "await asyncio.sleep(9)"])
def test_forked_child_does_not_take_part_in_the_event_loop(python, child):
    python.write_app(
        "app.py",
        f"""
        import asyncio, os
        async def fork():
            pid = os.fork()
            if pid == 0:
                {child}
            os.waitpid(pid, 0)
            return "ended"
        async def handle(request):
            return await (fork() if request else asyncio.ensure_future(fork()))
        """,
    )
    for request in ("x", "", "x", ""):
        assert python.answer("app,init", request) == "ended"
    check_well(python)


def test_subprocess_output_is_read(python):
    python.write_app(
        "app.py",
        """
        import subprocess, sys
        def handle(request):
            command = [sys.executable, "-c", "print(input()[::-1])"]
            return subprocess.run(command, input=request, capture_output=True).stdout
        """,
    )
    assert python.answer("app,init", "abc\n") == "cba\n"


@pytest.mark.no_asan("an aborting worker leaves a report")
def test_abort_ends_the_worker_and_nginx_starts_another(python):
    python.write_app("app.py", "import os\ndef handle(request): os.abort()")
    nginx = python.start()
    nginx.expect_log(rf"exited on signal {signal.SIGABRT.value}")
    with pytest.raises(requests.ConnectionError):
        python.call("app,init")
    check_well(python)


def test_generators_and_tasks_left_behind_at_the_unload(python):
    python.write(
        "app.py",
        """
        import asyncio, resty_ffi
        kept = []
        def numbers():
            try:
                while True:
                    yield 1
            finally:
                kept.append("ended")
        async def forever():
            try:
                await asyncio.Event().wait()
            finally:
                kept.append("cancelled")
        async def handle(request):
            generator = numbers()
            next(generator)
            kept.extend([generator, asyncio.ensure_future(forever())])
            return "left"
        init = resty_ffi.serve(handle)
        """,
    )
    for _ in range(3):
        assert python.answer("app,init") == "left"
        python.unload("app,init")
    check_well(python)


def test_destructor_that_raises_is_logged(python):
    python.write_app(
        "app.py",
        """
        class Bad:
            def __del__(self):
                raise ValueError("cannot go")
        def handle(request):
            Bad()
            return "gone"
        """,
    )
    assert python.answer("app,init") == "gone"
    python.nginx.log.wait("ValueError: cannot go")


# ---- hot reload without an end

RELOADS = 1000 if target.ASAN else 10_000

BATCH = 250
"""Reloads in one request, which has a deadline."""

MAY_GROW_KIB = 16 * 1024

RELOAD = """
    local first = tonumber(ngx.var.arg_first)
    for i = first, first + 249 do
        local new, err = ngx.load_ffi("ffi_python3", "app?,init," .. i)
        if not new then
            return err
        end
        local old = current
        current = new
        if old then
            old:__unload()
        end
    end
"""

ASK = """
    local n = 0
    for i = 1, 100 do
        if current then
            local ok, res, err = current:call("x")
            -- The one that was just replaced says so, and is asked no more.
            if not ok and res == "unloaded" then
                ok, res, err = current:call("x")
            end
            if not ok or res ~= "x" then
                return tostring(res) .. tostring(err)
            end
            n = n + 1
        end
        ngx.sleep(0)
    end
    return n
"""


def test_ten_thousand_hot_reloads_under_load_lose_no_call(server, tmp_path, figure):
    (tmp_path / "app.py").write_text(
        "import resty_ffi\ndef handle(request): return request\ninit = resty_ffi.serve(handle)\n"
    )
    nginx = server(
        env={"PYTHONPATH": str(tmp_path)},
        http="init_by_lua_block { current = nil }",
        lua={"/reload": RELOAD, "/ask": ASK},
    )
    warm = answered = 0
    for first in range(0, RELOADS, BATCH):
        asking = [nginx.begin("/ask") for _ in range(2)]
        assert nginx.values(f"/reload?first={first}") == []
        for asked in asking:
            (number,) = asked.result()
            assert isinstance(number, int), number
            answered += number
        if first == 4 * BATCH:
            warm = nginx.usage().resident_kib
    figure(f"{RELOADS} reloads, {answered} calls answered, none lost")
    assert answered > 0
    if not target.ASAN:
        assert nginx.usage().resident_kib - warm < MAY_GROW_KIB
