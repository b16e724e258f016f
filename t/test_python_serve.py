"""serve(): what handlers get and return, and what becomes of their errors."""

import pytest

ECHO_REPR = "def handle(request): return repr(request)"


# ---- requests and responses


@pytest.mark.parametrize("request_", [None, b"", b"\0", b"text", b"\xff\xfe"])
def test_handler_gets_bytes_or_none(python, request_):
    python.write_app("app.py", ECHO_REPR)
    assert python.call("app,init", request_) == [True, repr(request_)]


@pytest.mark.parametrize(
    ("returned", "values"),
    [
        ("None", [True]),
        ("b''", [True, ""]),
        ("b'a\\0b'", [True, "a\0b"]),
        ("''", [True, ""]),
        ("'\\u20ac'", [True, "\u20ac".encode().decode("latin-1")]),
        ("bytearray(b'bytes')", [True, "bytes"]),
        ("bytearray()", [True, ""]),
        ("memoryview(b'bytes')[1:3]", [True, "yt"]),
    ],
)
def test_handler_returns(python, returned, values):
    python.write_app("app.py", f"def handle(request): return {returned}")
    assert python.call("app,init") == values


@pytest.mark.parametrize(
    ("returned", "error"),
    [
        ("5", "TypeError: handler returned int, not bytes, str or None"),
        ("[b'x']", "TypeError: handler returned list, not bytes, str or None"),
        ("'\\ud800'", "UnicodeEncodeError: "),
        ("memoryview(b'abcd')[::2]", "BufferError: "),
    ],
)
def test_handler_that_returns_something_else_fails_the_call(python, returned, error):
    python.write_app("app.py", f"def handle(request): return {returned}")
    ok, rc, why = python.call("app,init")
    assert (ok, rc) == (False, 1)
    assert why.startswith(error)


# ---- errors


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("raise ValueError('no luck')", "ValueError: no luck"),
        ("raise ValueError", "ValueError"),
        ("{}['key']", "KeyError: 'key'"),
        ("raise ValueError('two\\nlines')", "ValueError: two\nlines"),
        ("raise Mine('no luck')", "app.Mine: no luck"),
        ("raise Mute", "app.Mute: <its str() failed>"),
        ("import sys; sys.exit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("handle(request)", "RecursionError: maximum recursion depth exceeded"),
        ("import nothing", "ModuleNotFoundError: No module named 'nothing'"),
    ],
)
def test_exception_is_the_error_of_its_call_only(python, body, error):
    python.write_app(
        "app.py",
        f"""
        class Mine(Exception): pass
        class Mute(Exception):
            def __str__(self): raise RuntimeError
        def handle(request):
            if request == b"well": return "well"
            {body}
        """,
    )
    ok, rc, why = python.call("app,init")
    assert (ok, rc) == (False, 1)
    assert why.startswith(error)
    assert python.call("app,init", "well") == [True, "well"]


def test_traceback_of_a_failed_call_is_in_the_log(python):
    python.write_app(
        "app.py",
        """
        def handle(request):
            try:
                first()
            except KeyError as error:
                raise ValueError("second") from error
        def first(): raise KeyError("first")
        """,
    )
    python.call("app,init")
    name = r'\[error\] .*ffi: runtime "ffi_python3 app,init": '
    for line in [
        "Traceback",
        ' *File ".*/app.py", line .*, in first',
        "KeyError: 'first'",
        "The above exception was the direct cause",
        ' *raise ValueError."second"',
        "ValueError: second",
    ]:
        python.nginx.log.wait(name + line)


# ---- threads


def test_module_function_and_handler_run_on_one_thread(python):
    python.write(
        "app.py",
        """
        import sqlite3
        import threading
        from resty_ffi import serve
        database = sqlite3.connect(":memory:")
        threads = [threading.current_thread()]
        def init(cfg, tq):
            threads.append(threading.current_thread())
            return serve(handle)(cfg, tq)
        def handle(request):
            threads.append(threading.current_thread())
            return f"{database.execute('select 1').fetchone()} {len(set(threads))}"
        """,
    )
    assert python.call("app,init") == [True, "(1,) 1"]


def test_thread_is_named_after_the_runtime_without_its_secrets(python):
    python.write_app(
        "app.py",
        """
        import threading
        def handle(request): return threading.current_thread().name
        """,
    )
    assert python.call("app,init,password") == [True, "app,init"]


def test_thread_that_never_ends_does_not_keep_the_worker(python):
    python.write_app(
        "app.py",
        """
        import threading
        def handle(request):
            threading.Thread(target=threading.Event().wait, daemon=False).start()
            return "started"
        """,
    )
    assert python.call("app,init") == [True, "started"]
    assert python.nginx.stop("QUIT") == 0


def test_runtimes_serve_at_the_same_time(python):
    python.write_app(
        "app.py",
        """
        import socket
        def handle(request):
            with socket.socket(socket.AF_UNIX) as gate:
                gate.connect("gate")
                gate.sendall(request + b"\\n")
                return gate.recv(100)
        """,
    )
    nginx = python.nginx
    calls = [
        nginx.begin(f"/call?library=ffi_python3&cfg=app,init,{name}&request={name}")
        for name in "ab"
    ]
    for held in nginx.gate.wait_for(2):
        held.open(held.name)
    assert [call.result() for call in calls] == [[True, "a"], [True, "b"]]


def test_child_processes_can_be_told_to_terminate(python):
    python.write_app(
        "app.py",
        """
        import subprocess
        def handle(request):
            child = subprocess.Popen(["sleep", "60"])
            child.terminate()
            return str(child.wait(10))
        """,
    )
    assert python.call("app,init") == [True, "-15"]
