"""resty_ffi.server: the nginx that "resty-ffi run" and the pytest fixture start."""

import http.client
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import process, target
from harness.wait import wait_for
from resty_ffi.client import Client
from resty_ffi.server import Server, ServerError

pytestmark = pytest.mark.no_asan("it starts an nginx of its own, without libasan")

VERSION = "import os\ndef handle(request): return f'{} {{os.getpid()}}'\n"


class Site:
    def __init__(self, folder, handler, options):
        self.app = folder / "app.py"
        self.server = Server(handler, folder=folder, nginx=target.find().nginx, **options)
        self.client = Client(self.server)

    def save(self, code):
        self.app.write_text(code)

    def ask(self, path="/", body=None, method=None):
        method = method or ("GET" if body is None else "POST")
        response = self.client.request(method, path, body)
        return response.status, response.text.rstrip("\n")


@pytest.fixture
def site(tmp_path):
    """Makes a started server of a module's code."""
    sites = []

    def make(code, handler="app:handle", **options):
        made = Site(tmp_path, handler, options)
        made.save(code)
        sites.append(made)
        made.server.start()
        assert made.server.check() is None
        return made

    yield make
    for made in sites:
        made.server.stop()


@pytest.fixture
def temp(tmp_path, monkeypatch):
    """Where servers have their folders."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


# ---- reload


def test_every_worker_serves_the_new_code_when_reload_returns(site):
    kv = site(VERSION.format(0), workers=4)
    reloaded, over, pids, wrong = 0, threading.Event(), set(), []

    def ask():
        while not over.is_set():
            least = reloaded
            status, text = kv.ask()
            if status != 200 or int(text.split()[0]) < least:
                wrong.append((least, status, text))
            pids.add(text.split()[-1])

    askers = [threading.Thread(target=ask) for _ in range(6)]
    for asker in askers:
        asker.start()
    for number in range(1, 21):
        kv.save(VERSION.format(number))
        assert kv.server.reload() is None
        reloaded = number
    wait_for(lambda: len(pids) >= 4)
    over.set()
    for asker in askers:
        asker.join()
    assert wrong == []
    assert len(pids) == 4


def test_reloads_at_once_leave_no_worker_behind(site):
    kv = site(VERSION.format(0), workers=3)
    for number in range(1, 6):
        kv.save(VERSION.format(number))
        with ThreadPoolExecutor(4) as pool:
            reloads = [pool.submit(kv.server.reload) for _ in range(4)]
        assert [reload.result() for reload in reloads] == [None] * 4
        assert {kv.ask()[1].split()[0] for _ in range(40)} == {str(number)}


def test_worker_that_does_not_load_keeps_the_old_code_and_is_reported(site, tmp_path):
    kv = site(VERSION.format(0), workers=3)
    # Two of three can make the folder.
    kv.save(
        "import os\n"
        f"os.mkdir('{tmp_path}/first') if not os.path.exists('{tmp_path}/first')"
        f" else os.mkdir('{tmp_path}/second')\n" + VERSION.format(1)
    )
    why = kv.server.reload()
    assert why.startswith("1 of 3 workers did not load it: FileExistsError")
    assert {kv.ask()[0] for _ in range(40)} == {200}
    kv.save(VERSION.format(2))
    assert kv.server.reload() is None
    assert {kv.ask()[1].split()[0] for _ in range(40)} == {"2"}


def test_code_that_fails_troubles_one_worker(site):
    kv = site(VERSION.format(0), workers=3)
    kv.save("1 / 0\n")
    assert kv.server.reload() == "the old code serves on: ZeroDivisionError: division by zero"
    assert {kv.ask()[1].split()[0] for _ in range(20)} == {"0"}
    assert kv.server.log().count("Traceback") == 1


@pytest.mark.parametrize("workers", [1, 3])
def test_code_that_ends_its_worker_is_reported_and_can_be_mended(site, workers):
    kv = site(VERSION.format(0), workers=workers)
    kv.save("import os\nos._exit(3)\n")
    assert kv.server.reload() == "the worker of nginx that was to load it has ended"
    # The next one of its number does not try that again at once.
    answers = {kv.ask()[1].split()[0] for _ in range(20)}
    assert answers <= ({"0", "the"} if workers > 1 else {"the"})
    wait_for(lambda: "exited with code 3" in kv.server.log())
    kv.save(VERSION.format(2))
    assert kv.server.reload() is None
    assert {kv.ask()[1].split()[0] for _ in range(20)} == {"2"}
    assert kv.server.log().count("exited with code 3") == 1


def test_worker_that_ended_once_tries_again_after_a_pause(site, tmp_path):
    kv = site(VERSION.format(0))
    mark = tmp_path / "mark"
    mark.touch()
    kv.save(
        "import os\n"
        f"if os.path.exists('{mark}'):\n"
        f"    os.remove('{mark}')\n"
        "    os._exit(3)\n" + VERSION.format(1)
    )
    assert kv.server.reload() == "the worker of nginx that was to load it has ended"
    assert kv.ask() == (500, "the code has ended the worker that loaded it")
    wait_for(lambda: kv.ask()[1].startswith("1 "))


def test_request_whose_body_is_on_its_way_is_not_lost(site):
    kv = site("def handle(request): return b'old ' + (request or b'')\n")
    with socket.create_connection(("127.0.0.1", kv.server.port), timeout=20) as slow:
        slow.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        # The worker has seen the first half when it answers this.
        assert kv.ask() == (200, "old ")
        kv.save("def handle(request): return b'new ' + (request or b'')\n")
        assert kv.server.reload() is None
        slow.sendall(b"67890")
        response = http.client.HTTPResponse(slow)
        response.begin()
        assert (response.status, response.read()) == (200, b"new 1234567890")


def test_configuration_stays_the_same_over_reloads(site):
    site = site(
        "class Handler:\n"
        "    def __init__(self, cfg): self.cfg = cfg\n"
        "    def get(self, request): return self.cfg\n",
        handler="app:Handler",
        cfg="/tmp/a,b?/c",
    )
    for _ in range(3):
        assert site.ask("/get") == (200, "/tmp/a,b?/c")
        assert site.server.reload() is None


def test_runtime_of_the_users_own_lua_is_not_reloaded(site, tmp_path):
    location = f"""
        location /own {{
            content_by_lua_block {{
                local rt = assert(ngx.load_ffi("ffi_python3", "{tmp_path}/app?,handle,"))
                ngx.print(select(2, rt()))
            }}
        }}
    """
    kv = site(VERSION.format(0), server=location)
    assert kv.ask("/own")[1].startswith("0 ")
    for number in (1, 2, 3):
        kv.save(VERSION.format(number))
        assert kv.server.reload() is None
        assert kv.ask()[1].startswith(f"{number} ")
        assert kv.ask("/own")[1].startswith("0 ")


# Ends after each answer, without waiting for the end of the queue.
MORTAL = """
import ctypes, threading
module = ctypes.CDLL(None)
module.ngx_http_lua_ffi_task_poll.restype = ctypes.c_void_p
def answer(tq):
    task = module.ngx_http_lua_ffi_task_poll(ctypes.c_void_p(tq))
    module.ngx_http_lua_ffi_respond_copy(ctypes.c_void_p(task), 0, b"x", ctypes.c_size_t(1))
def init(cfg, tq):
    threading.Thread(target=answer, args=[tq], daemon=True).start()
"""


def test_runtime_that_died_is_loaded_again(site):
    kv = site(MORTAL, handler="app:init")
    for _ in range(3):
        assert kv.ask() == (200, "x")
        status, text = kv.ask()
        assert status == 503
        assert "died" in text


# ---- requests


ECHO = "def handle(request): return repr(request)\n"


def test_request_is_the_body_else_the_query(site):
    echo = site(ECHO)
    assert echo.ask("/") == (200, "None")
    assert echo.ask("/?a=%26+b") == (200, "b'a=& b'")
    for method in ("POST", "PUT", "PATCH"):
        assert echo.ask("/?query", b"", method) == (200, "b''")
        assert echo.ask("/?query", b"body", method) == (200, "b'body'")


def test_body_above_the_limit_is_refused(site):
    size = site("def handle(request): return str(len(request))\n", max_body="2k")
    assert size.ask("/", b"x" * 2048) == (200, "2048")
    assert size.ask("/", b"x" * 2049)[0] == 413


def test_body_of_gigabytes_is_refused_unless_told_otherwise(site):
    kv = site(ECHO)
    with socket.create_connection(("127.0.0.1", kv.server.port), timeout=20) as big:
        big.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2306867200\r\n\r\n")
        assert big.recv(100).startswith(b"HTTP/1.1 413 ")
    assert kv.ask()[0] == 200


@pytest.mark.parametrize("size", ["0", "64x", "2g", "", "1m; error_log x"])
def test_limit_of_bodies_must_be_one(size):
    with pytest.raises(ServerError, match="no size of a body"):
        Server("app:handle", max_body=size, nginx=target.find().nginx)


METHODS = """
import resty_ffi
class Handler:
    def pay(self, request):
        raise resty_ffi.Error(1, "no method of payment")
"""


def test_only_a_method_that_is_unknown_is_not_found(site):
    shop = site(METHODS, handler="app:Handler")
    assert shop.ask("/pay") == (500, "no method of payment")
    for name in ("get", "it's", "%ff", "a%0d%0ab", "a.b"):
        status, text = shop.ask("/" + name)
        assert status == 404
        assert text.startswith("no method ")


# ---- start and end


def fails(temp, tmp_path, **options):
    before = process.descendants(os.getpid())
    server = Server("app:handle", folder=tmp_path, nginx=target.find().nginx, **options)
    with pytest.raises(ServerError) as caught:
        server.start()
    assert "\n" not in str(caught.value)
    assert list(temp.iterdir()) == []
    wait_for(lambda: process.descendants(os.getpid()) <= before)
    return str(caught.value)


def test_port_that_is_taken_is_an_error(temp, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        error = fails(temp, tmp_path, port=taken.getsockname()[1])
    assert "Address already in use" in error


def test_nginx_that_gives_up_late_is_an_error(temp, tmp_path):
    # It opens the control socket first and tries the port for seconds.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        error = fails(temp, tmp_path, port=0, http=f"server {{ listen 127.0.0.1:{port}; }}")
    assert "Address already in use" in error


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"port": 99999}, "there is no port 99999"),
        ({"port": -1}, "there is no port -1"),
        ({"host": "no.such.host.invalid"}, "cannot listen on no.such.host.invalid"),
        ({"host": "192.0.2.1"}, "cannot listen on 192.0.2.1"),
        ({"http": "nonsense;"}, 'unknown directive "nonsense"'),
    ],
)
def test_what_nginx_cannot_do_is_an_error(temp, tmp_path, options, error):
    assert error in fails(temp, tmp_path, **options)


def test_no_worker_is_an_error():
    with pytest.raises(ServerError, match="0 workers"):
        Server("app:handle", workers=0, nginx=target.find().nginx)


def test_folder_that_cannot_be_made_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", "/nonexistent")
    with pytest.raises(ServerError, match="/nonexistent"):
        Server("app:handle", folder=tmp_path, nginx=target.find().nginx).start()


@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 here")
def test_address_of_ipv6_serves(site):
    echo = site(ECHO, host="::1")
    assert echo.server.url == f"http://[::1]:{echo.server.port}"
    assert echo.ask() == (200, "None")


def test_user_is_that_of_the_process(site, monkeypatch):
    for name in ("USER", "LOGNAME", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "nosuchuser")
    assert site(ECHO).ask() == (200, "None")


def test_nginx_outlives_the_thread_that_started_it(tmp_path):
    (tmp_path / "app.py").write_text(ECHO)
    server = Server("app:handle", folder=tmp_path, nginx=target.find().nginx)
    starter = threading.Thread(target=server.start)
    starter.start()
    starter.join()
    try:
        assert server.check() is None
        assert server.exit_code is None
    finally:
        server.stop()
    assert server.exit_code == 0


def test_workers_end_when_their_master_is_killed(site):
    kv = site(VERSION.format(0), workers=2)
    workers = process.descendants(kv.server.pid)
    assert len(workers) == 2
    os.kill(kv.server.pid, signal.SIGKILL)
    wait_for(lambda: kv.server.exit_code == -signal.SIGKILL)
    wait_for(lambda: not workers & set(process.parents()))
    assert kv.server.reload() == "the worker of nginx that was to load it has ended"
