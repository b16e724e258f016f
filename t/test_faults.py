"""Signals, upgrades and kills while calls are in flight: answered, or failed cleanly."""

import os
import re
import time
from contextlib import suppress
from pathlib import Path

import pytest
import requests
from harness import process
from harness.load import load
from harness.wait import wait_for

CLOSE_ON_EXEC = 0o2000000

TCP_LISTEN = "0A"

SO_ACCEPTCON = 0x10000
"""What /proc shows of a socket that takes connections."""

STUCK_MS = 300
"""lua_ffi_shutdown_timeout where a handler never returns."""

ENDS_WITHIN = 5
"""Seconds: far more than STUCK_MS, and than what a worker gets on TERM."""

APP = """
    local call = load_app(ngx.var.arg_app or "echo")
    return call:it(ngx.var.arg_x or "x"), ngx.worker.pid()
"""


def answered(seen):
    """All but those that were answered."""
    return [answer for answer in seen.answers if answer[:1] != [True]], seen.errors


# ---- reload, stop


def test_fifty_reloads_under_load_lose_no_request(server, lang, figure):
    nginx = server(workers=2, prelude=lang.prelude, lua='return load_app("echo"):echo("hello")')
    with load(nginx) as seen:
        for _ in range(50):
            enough = len(seen.answers) + 8
            nginx.reload()
            wait_for(lambda enough=enough: len(seen.answers) > enough)
    wrong = [answer for answer in seen.answers if answer != [True, "hello"]]
    figure(f"{len(seen.answers)} requests, {len(seen.errors)} lost, {len(wrong)} wrong")
    assert (seen.errors, wrong) == ([], [])


@pytest.mark.parametrize("name", ["QUIT", "TERM"])
def test_handler_that_never_returns_does_not_keep_nginx_from_ending(server, lang, name):
    nginx = server(
        prelude=lang.prelude,
        http=f"lua_ffi_shutdown_timeout {STUCK_MS}ms;",
        lua='return load_app("gate"):wait("stuck")',
    )
    with nginx.connect() as connection:
        nginx.gate.wait()
        start = time.monotonic()
        assert nginx.stop(name) == 0
        assert time.monotonic() - start < ENDS_WITHIN
        response = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    # An error, or nothing: never half an answer.
    assert response == b"" or re.search(rb'shutting down"\]\r\n0\r\n\r\n$', response)


def test_handler_that_never_returns_does_not_keep_an_old_worker(server, lang):
    nginx = server(
        prelude=lang.prelude,
        http=f"lua_ffi_shutdown_timeout {STUCK_MS}ms;",
        lua='return load_app("gate"):wait("stuck")',
    )
    old = nginx.worker
    call = nginx.begin()
    nginx.gate.wait()
    nginx.reload()
    assert call.result() == [False, "shutting down"]
    wait_for(lambda: old not in nginx.started(), ENDS_WITHIN)


def test_term_under_load_ends_nginx_and_answers_nobody_by_half(server, lang):
    nginx = server(prelude=lang.prelude, lua='return load_app("echo"):echo(("x"):rep(1000))')
    with load(nginx) as seen:
        wait_for(lambda: len(seen.answers) > 50)
        start = time.monotonic()
        assert nginx.stop("TERM") == 0
        assert time.monotonic() - start < ENDS_WITHIN
    assert {type(error) for error in seen.errors} <= {requests.ConnectionError}
    refused = [answer for answer in seen.answers if answer != [True, "x" * 1000]]
    assert [answer for answer in refused if answer[1] != "shutting down"] == []


STUCK = {
    "in flight": 'return ngx.load_ffi("gate"):wait("stuck")',
    "abandoned": 'return ngx.load_ffi("gate"):wait("stuck", {timeout = 0.3})',
}


@pytest.mark.parametrize("to", ["master", "worker without master"])
@pytest.mark.parametrize("stuck", STUCK)
def test_term_hastens_a_worker_that_waits_after_quit(server, stuck, to):
    nginx = server(http="lua_ffi_shutdown_timeout 1h;", lua=STUCK[stuck])
    worker = nginx.worker
    with nginx.connect() as connection:
        nginx.gate.wait()
        if stuck == "abandoned":
            assert connection.recv(1)
        nginx.signal("QUIT")
        wait_for(nginx.shutting_down)
        start = time.monotonic()
        if to == "master":
            assert nginx.stop("TERM") == 0
        else:
            nginx.lose_master()
            nginx.signal("TERM", worker)
            wait_for(lambda: worker not in nginx.started())
        assert time.monotonic() - start < ENDS_WITHIN
    # As nginx 1.22, but not 1.26, says of every request that TERM ends after QUIT.
    if stuck == "in flight" and nginx.log.find("left in connection"):
        nginx.expect_log("open socket #.* left in connection")
        nginx.expect_log("aborting")


# ---- the log is opened anew


def test_usr1_moves_the_lines_of_libraries_and_loses_no_call(server):
    nginx = server(
        lua={
            "/": 'return ngx.load_ffi("gate"):wait("held")',
            "/log": 'return ngx.load_ffi("logger"):warn("after the move")',
        }
    )
    call = nginx.begin()
    held = nginx.gate.wait()
    nginx.log.path.rename(nginx.folder / "moved.log")
    nginx.signal("USR1")
    wait_for(nginx.log.path.exists)
    wait_for(lambda: nginx.values("/log") and "after the move" in nginx.log.path.read_text())
    held.open("answered")
    assert call.result() == [True, "answered"]


# ---- kill -9


def test_killed_worker_is_replaced_by_one_that_serves(server, lang):
    nginx = server(prelude=lang.prelude, lua=APP)
    nginx.expect_log("worker process .* exited on signal 9")
    victim = nginx.worker
    with load(nginx) as seen:
        wait_for(lambda: len(seen.answers) > 20)
        process.kill(victim)
        wait_for(lambda: any(answer[-1] != victim for answer in seen.answers[20:]))
    assert {type(error) for error in seen.errors} <= {requests.ConnectionError}
    assert [answer for answer in seen.answers if answer[0] is not True] == []
    assert nginx.values()[-1] == nginx.worker != victim


def test_workers_serve_on_when_their_master_is_killed_and_end_on_quit(server, lang):
    nginx = server(prelude=lang.prelude, lua=APP)
    worker = nginx.worker
    nginx.values()
    call = nginx.begin("/?app=gate&x=held")
    held = nginx.gate.wait()
    nginx.lose_master()
    assert nginx.values()[-1] == worker
    nginx.signal("QUIT", worker)
    held.open("answered")
    assert call.result()[0] is True
    wait_for(lambda: worker not in nginx.started(), ENDS_WITHIN)


# ---- the binary is replaced


@pytest.fixture
def daemon(server):
    """An nginx that can be upgraded, with C and Python at work."""
    return server(
        daemon=True,
        # What the new binary starts with, under AddressSanitizer.
        main="env LD_PRELOAD; env ASAN_OPTIONS;",
        lua={
            "/": """
                local c = ngx.load_ffi("echo"):echo("c")
                local python, res = ngx.load_ffi("ffi_python3", "echo,init,"):echo("python")
                return c and python and res == "python", ngx.worker.pid()
            """,
            "/c": 'return ngx.load_ffi("gate"):wait("c")',
            "/python": 'return ngx.load_ffi("ffi_python3", "gate,init,"):wait("python")',
        },
    )


def hold_calls(nginx):
    calls = [nginx.begin("/c"), nginx.begin("/python")]
    return calls, nginx.gate.wait_for(2)


def let_go(calls, held):
    for one in held:
        one.open("answered")
    assert [call.result() for call in calls] == [[True, "answered"]] * len(calls)


def serve(seen, *workers):
    """Waits until each of the workers has answered once more."""
    before = len(seen.answers)
    wait_for(lambda: {answer[-1] for answer in seen.answers[before:]} >= set(workers))


def test_upgrade_of_the_binary_loses_no_request(daemon):
    nginx = daemon
    (old_worker,) = nginx.workers()
    with load(nginx) as seen:
        calls, held = hold_calls(nginx)
        new = nginx.upgrade()
        (new_worker,) = nginx.workers(new)
        serve(seen, old_worker, new_worker)
        nginx.signal("WINCH")
        wait_for(nginx.shutting_down)
        serve(seen, new_worker)
        let_go(calls, held)
        nginx.signal("QUIT")
        nginx.follow(new)
        serve(seen, new_worker)
    assert answered(seen) == ([], [])
    assert nginx.workers() == [new_worker]


def test_upgrade_that_is_taken_back_loses_no_request(daemon):
    nginx = daemon
    old = nginx.pid
    with load(nginx) as seen:
        new = nginx.upgrade()
        (new_worker,) = nginx.workers(new)
        nginx.signal("WINCH")
        wait_for(lambda: not nginx.workers() and not nginx.shutting_down())
        serve(seen, new_worker)
        nginx.signal("HUP")
        wait_for(nginx.workers)
        calls, held = hold_calls(nginx)
        nginx.signal("QUIT", new)
        wait_for(lambda: new_worker not in nginx.workers(new))
        serve(seen, *nginx.workers())
        let_go(calls, held)
        wait_for(lambda: new not in nginx.started())
        serve(seen, *nginx.workers())
    assert answered(seen) == ([], [])
    assert nginx.pid == old


def test_new_binary_inherits_no_descriptor_of_ours(daemon):
    nginx = daemon
    nginx.values()
    new = nginx.upgrade()
    try:
        # the bell of its one worker
        assert strange(links(new)) == ["anon_inode:[eventfd]"]
    finally:
        nginx.signal("QUIT")
        nginx.follow(new)


def links(pid):
    """What each descriptor of the process is, and whether children inherit it; but
    those that are closed meanwhile."""
    found = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            info = (entry.parent.parent / "fdinfo" / entry.name).read_text()
            flags = re.search(r"^flags:\s*(\d+)", info, re.MULTILINE)[1]
            inherited = not int(flags, 8) & CLOSE_ON_EXEC
            found[int(entry.name)] = (os.readlink(entry), inherited)
    return found


def strange(found):
    """Of a master: what is neither a file nor a socket of nginx's."""
    return [link for link, _ in found.values() if link.startswith(("anon_inode:", "/memfd:"))]


def may_inherit(lang, link):
    """The VM's own, which those who start children through it do not."""
    return lang.name == "java" and re.search(r"\.jar$|/lib/modules$|^socket:", link)


def test_children_inherit_no_descriptor_that_a_runtime_opens(server, lang):
    nginx = server(
        prelude=lang.prelude,
        lua='return load_app("echo", {unpin = true}):echo("x")',
    )
    before = links(nginx.worker)
    sockets = nginx.usage().sockets
    nginx.values()
    if lang.name != "java":  # whose VM has one
        wait_for(lambda: nginx.usage().sockets == sockets)
    after = links(nginx.worker)
    new = [what for fd, what in after.items() if before.get(fd) != what]
    assert new
    assert [link for link, inherited in new if inherited and not may_inherit(lang, link)] == []


def test_children_inherit_what_those_of_stock_nginx_do(server):
    stock = server(modules=("lua",), lua="return 1")
    ours = server(lua='return ngx.load_ffi("echo"):echo("x")')

    def inherited(nginx):
        sockets = nginx.usage().sockets
        nginx.values()
        wait_for(lambda: nginx.usage().sockets == sockets)
        kinds = [link for link, inherits in links(nginx.worker).values() if inherits]
        return sorted(re.sub(r"\d+|^/.*/", "", kind) for kind in kinds)

    assert inherited(ours) == inherited(stock)


# ---- nobody else is let in


def test_runtime_opens_no_door(server, lang):
    """No socket that takes connections, but nginx's own, and the one that jcmd asks
    the VM through, which lets in its own user only."""
    nginx = server(prelude=lang.prelude, lua='return load_app("echo"):echo("x")')
    before = listening(nginx.worker)
    assert before
    nginx.values()
    after = listening(nginx.worker)
    new = [after[inode] for inode in after.keys() - before.keys()]
    assert [door for door in new if not (lang.name == "java" and "/.java_pid" in door)] == []


def listening(pid):
    """By inode: the sockets of the process that take connections."""
    net = Path(f"/proc/{pid}/net")
    tcp = [line for name in ("tcp", "tcp6") for line in rows(net / name)]
    found = {line.split()[9]: line for line in tcp if line.split()[3] == TCP_LISTEN}
    for line in rows(net / "unix"):
        if int(line.split()[3], 16) & SO_ACCEPTCON:
            found[line.split()[6]] = line
    own = {link[8:-1] for link, _ in links(pid).values() if link.startswith("socket:")}
    return {inode: line for inode, line in found.items() if inode in own}


def rows(path):
    return path.read_text().splitlines()[1:]
