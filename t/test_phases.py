"""Every phase: what comes of each operation there."""

import re
import socket
import ssl

import pytest
from harness import target
from harness.config import TESTS
from harness.phases import NO_AGENT, NO_HELLO, NO_SESSION, PHASES, WAITS, WORKS, Cells

RUN = 'require("phases").run()'

OTHERS = {
    "/held": 'return ngx.load_ffi("gate"):wait("held")',
    "/other": 'return ngx.load_ffi("echo", "other"):echo("unharmed")',
    "/drain": 'return ngx.load_ffi("echo", "call"):__unload(10)',
}

IS_OPENRESTY = "openresty" in target.find().nginx_version

UNPATCHED = [phase for phase in PHASES if phase.cells.call in (NO_HELLO, NO_SESSION)]

# Where Lua is resumed after it has waited, and where there is such a phase.
HERE = [
    phase
    for phase in PHASES
    if IS_OPENRESTY or (phase not in UNPATCHED and phase.cells.load != NO_AGENT)
]


def start(server, phase, lua=RUN, code_cache=True):
    options = phase.options(lua)
    options["http"] += " lua_ffi_request_id $request_id$ssl_session_id;"
    nginx = server(start=False, code_cache=code_cache, lua=OTHERS, **options)
    phase.prepare(nginx)
    nginx.start()
    return nginx


def cells(nginx, phase):
    """As in the table: an error that was not expected is there as it is."""
    found = []
    for expected, operation in zip(phase.cells, Cells._fields):
        works, *why = nginx.kept(operation)
        if not works:
            found.append(expected if expected in why[0] else why[0])
        elif operation == "load" and expected == WAITS:
            found.append(WORKS if nginx.kept("served") == [True] else WAITS)
        else:
            found.append(WORKS)
    return Cells(*found)


@pytest.mark.parametrize("code_cache", [True, False], ids=["cached", "uncached"])
@pytest.mark.parametrize("phase", HERE, ids=str)
def test_operations_in(server, phase, code_cache):
    nginx = start(server, phase, code_cache=code_cache)
    unrelated = nginx.begin("/held")
    held = nginx.gate.wait()
    phase.visit(nginx)
    held.open("unharmed")
    assert cells(nginx, phase) == phase.cells
    assert unrelated.result() == nginx.values("/other") == [True, "unharmed"]


# A premature timer is one of a worker that serves nobody any more.
YIELDING = [it for it in HERE if it.cells.load == WORKS and it.name != "premature timer"]


@pytest.mark.parametrize("phase", YIELDING, ids=str)
def test_others_are_served_while_a_library_loads_in(server, phase):
    nginx = start(server, phase, 'require("phases").load_held()')
    visit = nginx.submit(phase.visit)
    held = nginx.gate.wait()
    assert nginx.values("/other") == [True, "unharmed"]
    held.open()
    visit.result()
    assert nginx.kept("load") == [True]


@pytest.mark.skipif(IS_OPENRESTY, reason="OpenResty resumes it")
@pytest.mark.parametrize("operation", Cells._fields)
@pytest.mark.parametrize("phase", UNPATCHED, ids=str)
def test_lua_that_is_never_resumed_harms_its_own_handshake_only(server, phase, operation):
    nginx = start(server, phase, f'require("phases").run("{operation}")')
    try:
        phase.visit(nginx)
        dropped = False
    except ssl.SSLError:
        dropped = True
    waits = getattr(phase.cells, operation) != WORKS
    assert dropped == (waits and phase.cells.call == NO_HELLO)
    assert (nginx.get(f"/kept/{operation}").status_code == 404) == waits
    assert nginx.values("/drain") == [True]
    assert nginx.values("/other") == [True, "unharmed"]


# ---- blocks beside http


def load_stream():
    """Debian has it in a file of its own; elsewhere it is a part of nginx."""
    files = [path.with_name("ngx_stream_module.so") for path in target.find().lua_modules[:1]]
    return "".join(f"load_module {file};" for file in files if file.exists())


def test_stream_block_serves_beside_lua(server):
    nginx = server(
        main=f"""
            {load_stream()}
            stream {{ server {{ listen unix:stream.sock; proxy_pass unix:http.sock; }} }}
        """,
        http="""
            server {
                listen unix:http.sock;
                location / {
                    content_by_lua_block { ngx.print(select(2, ngx.load_ffi("echo"):echo("body"))) }
                }
            }
        """,
        lua=OTHERS,
    )
    for _ in range(3):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(nginx.folder / "stream.sock"))
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert client.makefile().read().endswith("body")
        assert nginx.values("/other") == [True, "unharmed"]


def test_module_does_nothing_without_an_http_block(server):
    nginx = server(start=False)
    config = nginx.folder / "nginx.conf"
    head, _, _ = config.read_text().partition("http {")
    stream = "stream { server { listen unix:stream.sock; return alive; } }"
    config.write_text(f"{head} {stream}".replace("user ", f"{load_stream()} user ", 1))
    nginx.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(nginx.folder / "stream.sock"))
        assert client.makefile().read() == "alive"


def test_docs_have_this_very_table():
    docs = (TESTS.parent / "docs" / "phases.md").read_text()
    rows = re.findall(r"^\| `(.+?)` \| (.+) \|$", docs, re.MULTILINE)
    written = {name: tuple(re.sub("`", "", row).split(" | ")) for name, row in rows}
    assert written == {phase.name: tuple(phase.cells) for phase in PHASES}
