"""nginx's signals stay nginx's, and its guests' children their own, whatever is loaded."""

import re
import signal
from pathlib import Path

import pytest
from harness import target
from harness.wait import wait_for

HANDLED = ("HUP", "INT", "QUIT", "USR1", "USR2", "ALRM", "TERM", "CHLD", "IO", "WINCH")

NGINX = {signal.Signals["SIG" + name] for name in (*HANDLED, "PIPE", "SYS")}
"""All that nginx handles or ignores, as its ngx_process.c lists them."""

FAULTS = {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP}

GLIBC = {32, 33}
"""Of its own threads, with handlers from a process's second thread on."""

MAY_CATCH = {
    "go": {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGURG},
    "java": FAULTS | {52, 62},
}
"""What docs/go.md and docs/java.md say that a language catches for itself."""

MAY_WRAP = {"nodejs": {signal.SIGCHLD}}
"""Whose handler may be the language's, which calls nginx's: libuv wants to know."""

MAY_OPEN = {"go": {signal.SIGCHLD}}
"""What a language's threads take, and the module hands on to nginx's thread."""

SA_ONSTACK = 0x08000000

IGNORED = hex(signal.SIG_IGN)

CHILDREN = 50


def status(path, name):
    """The signals in a line of /proc/.../status."""
    text = (path / "status").read_text()
    mask = int(re.search(rf"^{name}:\s*(\w+)", text, re.MULTILINE)[1], 16)
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


def with_runtime(server, lang, app="echo", **more):
    return server(
        prelude=lang.prelude,
        lua={
            "/": f'return load_app("{app}"):it(ngx.var.arg_x and ngx.unescape_uri(ngx.var.arg_x))',
            "/unload": f'return load_app("{app}"):__unload(20)',
            "/dispositions": f"""
                return ngx.load_ffi("dispositions"):list("{" ".join(map(str, sorted(NGINX)))}")
            """,
            **more,
        },
    )


def dispositions(nginx, lang):
    """Handler, flags but SA_ONSTACK, and mask by number, unless it is ignored."""
    ok, text = nginx.values("/dispositions")
    assert ok
    rows = [line.split() for line in text.splitlines()]
    found = {
        int(number): IGNORED
        if handler == IGNORED
        else (handler, int(flags, 16) & ~SA_ONSTACK, mask)
        for number, handler, flags, mask in rows
    }
    for number in MAY_WRAP.get(lang.name, ()):
        found[number] = found[number][1:]
    for number in MAY_CATCH.get(lang.name, ()):
        found.pop(number, None)
    return found


def test_signals_of_nginx_keep_their_dispositions(server, lang):
    nginx = with_runtime(server, lang)
    before = dispositions(nginx, lang)
    assert signal.SIGTERM in before
    nginx.values("/?x=hello")
    assert dispositions(nginx, lang) == before
    nginx.values("/unload")
    assert dispositions(nginx, lang) == before


def test_nothing_but_what_is_documented_is_caught(server, lang):
    nginx = with_runtime(server, lang)
    worker = Path(f"/proc/{nginx.worker}")
    names = ("SigCgt", "SigIgn", "SigBlk")
    caught, ignored, blocked = (status(worker, name) for name in names)
    nginx.values("/?x=hello")
    taken = MAY_CATCH.get(lang.name, set())
    assert caught <= status(worker, "SigCgt") <= caught | taken | GLIBC
    assert ignored - taken <= status(worker, "SigIgn") <= ignored
    assert status(worker, "SigBlk") == blocked


def test_no_thread_of_a_guest_takes_a_signal_of_nginx(server, lang):
    nginx = with_runtime(server, lang)
    for _ in range(50):
        nginx.values("/?x=hello")
    threads = [
        thread
        for thread in Path(f"/proc/{nginx.worker}/task").iterdir()
        if thread.name != str(nginx.worker)
    ]
    assert threads
    open_signals = {thread.name: NGINX - status(thread, "SigBlk") for thread in threads}
    # What is ignored runs no handler, whoever takes it.
    may = MAY_OPEN.get(lang.name, set()) | {signal.SIGPIPE, signal.SIGSYS}
    assert all(signals <= may for signals in open_signals.values()), open_signals


def test_nginx_obeys_its_signals_with_a_runtime_loaded(server, lang):
    nginx = with_runtime(server, lang)
    old = nginx.worker
    nginx.values("/?x=hello")
    for name in ("HUP", "USR2", "WINCH", "IO", "ALRM", "CHLD"):
        nginx.signal(name, old)  # of no consequence to a worker
    nginx.log.path.rename(nginx.folder / "moved.log")
    nginx.signal("USR1", old)
    wait_for(nginx.log.path.exists)
    assert nginx.values("/?x=hello") == [True, "hello"]
    assert nginx.worker == old
    nginx.signal("QUIT", old)
    wait_for(lambda: nginx.workers() and old not in nginx.started())


def test_children_of_a_guest_keep_their_exit_status(server, lang):
    if target.ASAN and lang.name == "java":
        pytest.skip("libasan's allocator may hold a lock when a thread forks")
    nginx = with_runtime(
        server,
        lang,
        "children",
        **{
            "/many": f"""
                local rt = load_app("children")
                local threads, wrong = {{}}, {{}}
                for i = 1, {CHILDREN} do
                    threads[i] = ngx.thread.spawn(rt.run, rt, "exit " .. i % 7)
                end
                for i = 1, {CHILDREN} do
                    local _, ok, status = ngx.thread.wait(threads[i])
                    if not ok or status ~= tostring(i % 7) then
                        wrong[#wrong + 1] = i .. " was " .. tostring(status)
                    end
                end
                return table.concat(wrong, ", ")
            """
        },
    )
    assert nginx.values("/many") == [""]
