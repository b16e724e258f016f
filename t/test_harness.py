"""The harness itself: every check-up fails when it should."""

import os
import socket
import subprocess
import time

import pytest
from harness import process, target
from harness.config import Config
from harness.health import Unhealthy, check_up
from harness.port import Port
from harness.server import Server
from harness.wait import wait_for


@pytest.fixture
def patient():
    """A server without our module, whose check-up the test does itself."""
    made = []

    def make(**options):
        options.setdefault("modules", ("lua",))
        made.append(Server(Config(**options)))
        made[-1].start()
        return made[-1]

    yield make
    for server in made:
        server.close()
        server.remove()


def test_values_come_back_as_lua_returned_them(patient):
    nginx = patient(lua='return true, nil, 1.5, "\\0\\255\\"\\n", {1, 2}, {a = "b"}, nil')
    assert nginx.values() == [True, None, 1.5, '\0\xff"\n', [1, 2], {"a": "b"}]


def test_values_are_kept_from_phases_that_cannot_answer(patient):
    nginx = patient(
        http="""init_worker_by_lua_block {
            ngx.timer.at(0, function() require("harness").keep("timer", nil, 1) end)
        }"""
    )
    assert nginx.kept("timer") == [None, 1]


def test_a_location_each(patient):
    nginx = patient(lua={"/a": "return 1", "/b": "return 2"})
    assert nginx.values("/a") + nginx.values("/b") == [1, 2]


def test_error_in_lua_fails_the_test(patient):
    nginx = patient(lua='error("oops")')
    with pytest.raises(AssertionError, match="oops"):
        nginx.values()


def test_healthy_server_passes_its_check_up(patient):
    nginx = patient(lua="return 1", workers=2)
    nginx.values()
    check_up(nginx)


def test_server_that_does_not_start_says_why():
    server = Server(Config(modules=("lua",), http="nonsense on;"))
    with pytest.raises(RuntimeError, match='unknown directive "nonsense"'):
        server.start()
    server.close()
    server.remove()


@pytest.mark.parametrize("level", ["ALERT", "EMERG"])
def test_alarming_log_line_is_found(patient, level):
    nginx = patient(lua=f'ngx.log(ngx.{level}, "oops")')
    nginx.get()
    with pytest.raises(Unhealthy, match=f"logged: .*{level.lower()}.*oops"):
        check_up(nginx)


def test_runaway_log_is_found(patient):
    nginx = patient()
    with nginx.log.path.open("r+b") as log:
        log.truncate(1 << 40)
    with pytest.raises(Unhealthy, match="is longer than"):
        check_up(nginx)


def test_expected_log_line_is_forgiven(patient):
    nginx = patient(lua='ngx.log(ngx.ALERT, "oops")')
    nginx.get()
    nginx.expect_log(r"\[alert\].*oops")
    check_up(nginx)


def test_expected_log_line_that_never_came_is_found(patient):
    nginx = patient()
    nginx.expect_log("never to be seen")
    with pytest.raises(Unhealthy, match="not logged, although expected: never to be seen"):
        check_up(nginx)


@pytest.mark.no_asan("the sanitizer's exit takes the place of the signal")
def test_crashed_worker_is_found(patient):
    nginx = patient(lua='require("ffi").cast("int *", 8)[0] = 1')
    with pytest.raises(Exception, match="Connection"):
        nginx.get()
    wait_for(lambda: nginx.log.find("exited on signal"))
    with pytest.raises(Unhealthy, match="exited on signal 11"):
        check_up(nginx)


def test_worker_that_exits_by_itself_is_found(patient):
    nginx = patient(lua="os.exit(7)")
    with pytest.raises(Exception, match="Connection"):
        nginx.get()
    wait_for(lambda: nginx.log.find("exited with"))
    with pytest.raises(Unhealthy, match="exited with code 7"):
        check_up(nginx)


def test_sanitizer_report_is_found(patient):
    nginx = patient()
    report = nginx.log.sanitizer.with_name("sanitizer.123")
    report.write_text("==123==ERROR: AddressSanitizer: heap-use-after-free\n")
    with pytest.raises(Unhealthy, match="heap-use-after-free"):
        check_up(nginx)


USE_AFTER_FREE = """
    local ffi = require "ffi"
    ffi.cdef "void *malloc(size_t); void free(void *); void *memset(void *, int, size_t);"
    local p = ffi.C.malloc(8)
    ffi.C.free(p)
    ffi.C.memset(p, 0, 8)
"""


@pytest.mark.skipif(not target.ASAN, reason="RESTY_FFI_ASAN is not set")
def test_sanitizer_watches_the_workers(patient):
    nginx = patient(lua=USE_AFTER_FREE)
    with pytest.raises(Exception, match="Connection"):
        nginx.get()
    with pytest.raises(Unhealthy, match="AddressSanitizer: heap-use-after-free"):
        check_up(nginx)


def test_leaked_process_is_found(patient):
    nginx = patient(lua='return os.execute("setsid sleep 1000 &")')
    nginx.values()
    wait_for(lambda: any(process.title(pid) == "sleep 1000" for pid in nginx.started()))
    with pytest.raises(Unhealthy, match="processes are left"):
        check_up(nginx)


def test_leaked_connection_is_found(patient):
    nginx = patient(lua="ngx.sleep(1000)", main="worker_shutdown_timeout 1s;")
    before = nginx.usage().sockets
    with nginx.connect():
        wait_for(lambda: nginx.usage().sockets > before)
        with pytest.raises(Unhealthy, match="leaks sockets"):
            check_up(nginx)


OPEN_FILES = 'for i = 1, 100 do leak = {leak, io.open("nginx.conf")} end'

START_THREADS = """
    local ffi = require "ffi"
    ffi.cdef[[
        typedef unsigned long pthread_t;
        int pthread_create(pthread_t *, void *, void *(*)(void *), void *);
        unsigned sleep(unsigned);
    ]]
    local nap = ffi.cast("void *(*)(void *)", ffi.C.sleep)
    for i = 1, 100 do
        ffi.C.pthread_create(ffi.new("pthread_t[1]"), nil, nap, ffi.cast("void *", 1000))
    end
"""


@pytest.mark.parametrize(("what", "lua"), [("files", OPEN_FILES), ("threads", START_THREADS)])
def test_growth_is_found(patient, what, lua):
    nginx = patient(lua=lua)
    nginx.values()
    with pytest.raises(Unhealthy, match=f"leaks {what}"):
        check_up(nginx)


def test_server_that_does_not_stop_is_found(patient):
    nginx = patient()
    nginx.signal("STOP", nginx.worker)
    nginx.signal("QUIT")
    with pytest.raises(TimeoutError, match="still runs"):
        nginx.stop(deadline=0.1)


def test_killed_nginx_is_found(patient):
    nginx = patient()
    with pytest.raises(Unhealthy, match="nginx exited with -9"):
        nginx.stop("KILL")
        check_up(nginx)


def test_reload_replaces_the_workers(patient):
    nginx = patient(workers=2)
    before = nginx.workers()
    nginx.reload()
    assert len(nginx.workers()) == 2
    assert not set(before) & set(nginx.workers())


def test_handler_waits_at_the_gate(patient):
    nginx = patient(
        lua="""
            local sock = ngx.socket.tcp()
            sock:connect("unix:" .. ngx.config.prefix() .. "/gate")
            sock:send("me\\n")
            local answer = sock:receive("*a")
            sock:send("bye")
            sock:close()
            return answer
        """
    )
    answer = nginx.begin()
    held = nginx.gate.wait()
    assert held.name == "me"
    assert not answer.done()
    held.open("go on")
    assert held.last_words() == "bye"
    assert answer.result() == ["go on"]


def test_reserved_port_is_given_to_nobody_else():
    ports = [Port() for _ in range(50)]
    assert len({port.number for port in ports}) == 50
    for port in ports:
        port.release()


def test_port_in_use_is_not_reserved(monkeypatch):
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        taken = busy.getsockname()[1]
        free = Port()
        free.release()
        monkeypatch.setattr("random.sample", lambda *_: [taken, free.number])
        again = Port()
        assert again.number == free.number
        again.release()


def test_wait_for_gives_up_at_its_deadline():
    start = time.monotonic()
    with pytest.raises(TimeoutError, match="not true within 0.05 s"):
        wait_for(lambda: 0, deadline=0.05)
    assert time.monotonic() - start < 5


def test_orphans_are_adopted():
    script = "sleep 1000 >/dev/null & echo $!"
    orphan = int(subprocess.run(["sh", "-c", script], stdout=subprocess.PIPE, check=True).stdout)
    assert orphan in process.descendants(os.getpid())
    process.kill(orphan)
