"""resty-ffi run, as a user at a terminal sees it."""

import http.client
import os
import re
import signal
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from harness import process, target
from harness.run import COMMAND, running, started
from harness.wait import wait_for

pytestmark = pytest.mark.no_asan("the command starts an nginx of its own, without libasan")

KV = """
import resty_ffi

class KV:
    def __init__(self, cfg):
        self.values = {}
        self.cfg = cfg

    def put(self, request):
        key, _, value = request.partition(b"=")
        self.values[key] = value

    def get(self, request):
        return self.values.get(request)

    def configuration(self, request):
        return self.cfg

    async def fail(self, request):
        raise resty_ffi.Error(int(request), "no entry")

    def crash(self, request):
        raise KeyError(request)

    def __call__(self, request):
        return b"called with " + (request or b"nothing")
"""


def fails(folder, *arguments, handler="app:KV", code=1, **env):
    command = [COMMAND, "run", handler, "--port", "0", *arguments]
    environment = {**os.environ, "NGINX_BIN": target.find().nginx, **env}
    run = subprocess.run(
        command, cwd=folder, env=environment, text=True, capture_output=True, timeout=30
    )
    assert run.returncode == code
    return run.stderr


def test_path_is_the_method_and_body_the_request(tmp_path):
    (tmp_path / "app.py").write_text(KV)
    with running(tmp_path) as run:
        assert run.ask("/put", "a=1") == (204, "")
        assert run.ask("/get", "a") == (200, "1")
        assert run.ask("/get?a") == (200, "1")
        assert run.ask("/get/more?a") == (200, "1")
        assert run.ask() == (200, "called with nothing")
        assert run.ask("/", "x" * 3_000_000) == (200, "called with " + "x" * 3_000_000)


def test_failure_has_a_status(tmp_path):
    (tmp_path / "app.py").write_text(KV)
    with running(tmp_path) as run:
        assert run.ask("/fail", "403") == (403, "no entry")
        assert run.ask("/fail", "7") == (500, "no entry")
        assert run.ask("/crash", "x") == (500, "KeyError: b'x'")
        assert run.ask("/nothing") == (404, "no method 'nothing'")
        run.wait("[error] KeyError: b'x'")


def test_client_cannot_unload_the_handler(tmp_path):
    (tmp_path / "app.py").write_text(KV)
    with running(tmp_path) as run:
        assert run.ask("/__unload")[0] == 404
        assert run.ask("/reload")[0] == 404
        assert run.ask()[0] == 200


def test_configuration_is_given(tmp_path):
    (tmp_path / "app.py").write_text(KV)
    with running(tmp_path, "--cfg", 'a,"b"]]') as run:
        assert run.ask("/configuration") == (200, 'a,"b"]]')


@pytest.mark.parametrize("handler", ["src/app:handle", "src/app.py:init", "package.app:handle"])
def test_handler_is_found(tmp_path, handler):
    for name in ("src", "package"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "app.py").write_text(
            "import resty_ffi\n"
            "from os import getcwd\n"
            "def handle(request): return __name__\n"
            "init = resty_ffi.serve(handle)\n"
        )
    with running(tmp_path, handler=handler) as run:
        assert run.ask()[0] == 200


def test_what_a_handler_logs_is_shown(tmp_path):
    (tmp_path / "app.py").write_text(
        "import logging\n"
        "def handle(request):\n"
        "    print('printed')\n"
        "    logging.getLogger('shop').error('sold out')\n"
    )
    with running(tmp_path, handler="app:handle") as run:
        run.ask()
        run.wait("[notice] printed")
        wait_for(lambda: re.search(r"\[error\] .*sold out", run.output))
        assert "start worker process" not in run.output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_all_of_its_processes(tmp_path, number):
    (tmp_path / "app.py").write_text(KV)
    with running(tmp_path, "--workers", "2") as run:
        run.ask()
        assert run.end(number) == 0
    wait_for(lambda: not _nginx_of(tmp_path))


def test_nginx_ends_when_the_command_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "app.py").write_text(KV)
    with running(tmp_path) as run:
        run.end(signal.SIGKILL)
        wait_for(lambda: _refuses(run))
    wait_for(lambda: not _nginx_of(tmp_path))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_at_once_while_the_handler_loads(tmp_path, monkeypatch, number):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "app.py").write_text(
        f"import pathlib, time\npathlib.Path('{tmp_path}/loading').touch()\ntime.sleep(300)\n"
    )
    with started(tmp_path) as command:
        wait_for((tmp_path / "loading").exists)
        command.send_signal(number)
        assert command.wait(10) == 0
    assert not list(tmp_path.glob("resty-ffi-*"))
    wait_for(lambda: not _nginx_of(tmp_path))


def test_asked_twice_it_does_not_wait_for_requests(tmp_path):
    (tmp_path / "app.py").write_text(
        "import time\n"
        "def handle(request):\n"
        "    if request: print('begun'), time.sleep(300)\n"
        "    return 'x'\n"
    )
    with running(tmp_path, handler="app:handle") as run:
        waiting = threading.Thread(target=lambda: _ask_in_vain(run), daemon=True)
        waiting.start()
        run.wait("begun")
        run.signal(signal.SIGINT)
        wait_for(lambda: _refuses(run))
        assert run.end() == 0
        waiting.join(20)


def _refuses(run):
    try:
        run.ask()
    except OSError:
        return True
    return False


def _ask_in_vain(run):
    with suppress(OSError, http.client.HTTPException):
        run.ask("/", "x")


def _nginx_of(folder):
    return [pid for pid in process.descendants(os.getpid()) if _is_nginx(pid)]


def _is_nginx(pid):
    try:
        return b"nginx" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


# ---- --reload

COUNT = "def handle(request): return 'version {}'\n"


def test_saved_code_serves(tmp_path):
    app = tmp_path / "app.py"
    app.write_text(COUNT.format(1))
    with running(tmp_path, "--reload", handler="app:handle") as run:
        assert run.ask() == (200, "version 1")
        for version in (2, 3, 4):
            app.write_text(COUNT.format(version))
            wait_for(lambda v=version: run.ask() == (200, f"version {v}"))
        run.wait("reloaded: app.py")


def test_old_code_serves_on_when_the_new_fails(tmp_path):
    app = tmp_path / "app.py"
    app.write_text(COUNT.format(1))
    with running(tmp_path, "--reload", handler="app:handle") as run:
        assert run.ask() == (200, "version 1")
        app.write_text("def handle(:\n")
        run.wait("not reloaded, the old code serves on: SyntaxError")
        assert run.ask() == (200, "version 1")
        app.write_text(COUNT.format(2))
        wait_for(lambda: run.ask() == (200, "version 2"))


def test_code_that_never_loaded_is_mended(tmp_path):
    app = tmp_path / "app.py"
    app.write_text("oops\n")
    with running(tmp_path, "--reload", handler="app:handle") as run:
        assert run.ask()[0] == 500
        app.write_text(COUNT.format(1))
        wait_for(lambda: run.ask() == (200, "version 1"))


def test_code_that_ends_the_worker_is_told_and_mended(tmp_path):
    app = tmp_path / "app.py"
    app.write_text(COUNT.format(1))
    with running(tmp_path, "--reload", handler="app:handle") as run:
        app.write_text("import os\nos._exit(3)\n")
        run.wait("not reloaded, the worker of nginx that was to load it has ended")
        run.wait("exited with code 3")
        app.write_text(COUNT.format(2))
        run.wait("reloaded: app.py")
        assert run.ask() == (200, "version 2")
        assert "Traceback" not in run.output


def test_every_worker_gets_the_new_code(tmp_path):
    app = tmp_path / "app.py"
    app.write_text("import os\ndef handle(request): return f'1 {os.getpid()}'\n")
    with running(tmp_path, "--reload", "--workers", "2", handler="app:handle") as run:
        wait_for(lambda: len({run.ask() for _ in range(20)}) == 2)
        app.write_text("import os\ndef handle(request): return f'2 {os.getpid()}'\n")
        wait_for(lambda: all(run.ask()[1].startswith("2 ") for _ in range(40)))


def test_no_request_is_lost_over_reloads(tmp_path):
    app = tmp_path / "app.py"
    app.write_text(COUNT.format(0))
    with running(tmp_path, "--reload", handler="app:handle") as run:
        over = threading.Event()
        failed = []

        def ask():
            while not over.is_set():
                status, text = run.ask()
                if status != 200:
                    failed.append((status, text))

        askers = [threading.Thread(target=ask) for _ in range(3)]
        for asker in askers:
            asker.start()
        for version in range(1, 6):
            app.write_text(COUNT.format(version))
            wait_for(lambda v=version: run.output.count("reloaded: ") >= v)
        over.set()
        for asker in askers:
            asker.join()
        assert failed == []


# ---- what does not start


def test_module_that_does_not_import_is_an_error(tmp_path):
    (tmp_path / "app.py").write_text("import nonexistent\n")
    error = fails(tmp_path)
    assert "ModuleNotFoundError: No module named 'nonexistent'" in error
    assert "app:KV does not load" in error


def test_handler_without_a_name_is_an_error(tmp_path):
    assert fails(tmp_path, handler="app") == (
        'resty-ffi: "app" names no handler: write module:name\n'
    )


def test_port_that_is_taken_is_an_error(tmp_path):
    (tmp_path / "app.py").write_text(KV)
    with running(tmp_path) as run:
        error = fails(tmp_path, "--port", str(run.port))
    assert error == (
        f"resty-ffi: cannot listen on 127.0.0.1, port {run.port}: Address already in use\n"
    )


@pytest.mark.parametrize(
    "arguments", [("--port", "99999"), ("--host", "no.such.host.invalid"), ("--max-body", "0")]
)
def test_start_that_fails_is_one_line(tmp_path, monkeypatch, arguments):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "app.py").write_text(KV)
    assert re.fullmatch(r"resty-ffi: .*\n", fails(tmp_path, *arguments))
    assert not list(tmp_path.glob("resty-ffi-*"))


@pytest.mark.parametrize("number", ["0", "-1", "x"])
def test_workers_are_one_or_more(tmp_path, number):
    assert "argument --workers: " in fails(tmp_path, "--workers", number, code=2)


def test_longest_body_can_be_given(tmp_path):
    (tmp_path / "app.py").write_text(KV)
    with running(tmp_path, "--max-body", "1k") as run:
        assert run.ask("/", "x" * 1024)[0] == 200
        assert run.ask("/", "x" * 1025)[0] == 413


def test_missing_nginx_is_an_error(tmp_path):
    assert "no /nonexistent/nginx found" in fails(tmp_path, NGINX_BIN="/nonexistent/nginx")


def test_folders_of_servers_are_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    (tmp_path / "app.py").write_text(KV)
    with running(tmp_path) as run:
        assert list(tmp_path.glob("resty-ffi-*"))
        assert run.end() == 0
    assert not list(tmp_path.glob("resty-ffi-*"))
