"""Every place where Lua runs in nginx, and what each operation comes to there.

This is the table of docs/phases.md; test_phases.py compares the two, and tests
each cell.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, NamedTuple

from . import tls
from .server import Server

WORKS = "works"
WAITS = "works, the worker waits"
"""Nothing else is served meanwhile."""

TOO_EARLY = "no library can be loaded before the worker has started"
SHUTTING_DOWN = "shutting down"
_DISABLED = "API disabled in the context of %s_by_lua*"
C_CALL = "cannot wait across a C call"
NO_FFI = "attempt to call field 'load_ffi' (a nil value)"
NO_HANDLE = "unsupported Lua type: LUA_TUSERDATA"
NO_AGENT = "this process runs no library"
NO_HELLO = "works in OpenResty, stock nginx drops the handshake"
NO_SESSION = "works in OpenResty, stock OpenSSL finds no session"

BODY = "body"

Visit = Callable[[Server], None]


class Cells(NamedTuple):
    """For each operation: whether it works, or a part of its error message."""

    load: str
    call: str
    reload: str
    unload: str
    unload_and_wait: str


YIELDS = Cells(WORKS, WORKS, WORKS, WORKS, WORKS)


def _fails(why: str) -> Cells:
    return Cells(why, why, why, why, why)


def _refuses(why: str) -> Cells:
    """Where Lua runs and cannot wait for anything."""
    return Cells(WAITS, why, why, WORKS, why)


def _disabled(phase: str) -> Cells:
    return _refuses(_DISABLED % phase)


def _unpatched(what: str) -> Cells:
    """Where stock software never resumes Lua that waits."""
    return Cells(what, what, what, WORKS, what)


# ---- what makes nginx run the Lua


def _get(nginx: Server) -> None:
    assert nginx.get("/it").text == BODY


def _post(nginx: Server) -> None:
    assert nginx.post("/it", b"x" * 300000).text == BODY


def _proxy(nginx: Server) -> None:
    assert nginx.get("/it").status_code == 500


def _reload(nginx: Server) -> None:
    nginx.reload()


def _get_and_reload(nginx: Server) -> None:
    _get(nginx)
    nginx.reload()


def _leave(nginx: Server) -> None:
    with nginx.connect("/it"):
        nginx.log.wait("on its way")


def _handshake(nginx: Server) -> None:
    assert _tls_client(nginx).get().endswith(BODY)


def _resume(nginx: Server) -> None:
    client = _tls_client(nginx)
    client.get()
    assert client.get().endswith(BODY)


def _tls_client(nginx: Server) -> tls.Client:
    return tls.Client(nginx.folder / "tls.sock")


# ---- where it is in nginx.conf


@dataclass(frozen=True)
class Phase:
    """A row; where it says RUN in nginx.conf, there will be some Lua."""

    name: str
    cells: Cells
    http: str
    visit: Visit = lambda nginx: None
    """Makes nginx run the Lua, unless it does when it starts."""
    server: str = ""
    main: str = ""

    def __str__(self) -> str:
        return self.name

    def options(self, lua: str) -> dict[str, str]:
        """Those of harness.config.Config."""
        text = {"http": self.http, "server": self.server, "main": self.main}
        return {option: value.replace("RUN", lua) for option, value in text.items()}

    def prepare(self, nginx: Server) -> None:
        """Before nginx starts."""
        if "tls.pem" in self.http:
            tls.make_certificate(nginx.folder)


PREPARE = 'init_worker_by_lua_block { require("phases").prepare() }'


def _location(name: str, cells: Cells, directives: str, visit: Visit = _get) -> Phase:
    return Phase(name, cells, PREPARE, visit, f"location /it {{ {directives} }}")


def _content(name: str, cells: Cells, lua: str, visit: Visit = _get) -> Phase:
    return _location(name, cells, f'content_by_lua_block {{ {lua} ngx.print("{BODY}") }}', visit)


def _tls(name: str, cells: Cells, visit: Visit = _handshake) -> Phase:
    http = f"""
        {PREPARE}
        ssl_certificate tls.pem;
        ssl_certificate_key tls.key;
        ssl_session_tickets off;
        {name}_by_lua_block {{ RUN }}
        server {{
            listen unix:tls.sock ssl;
            location / {{ return 200 {BODY}; }}
        }}
    """
    return Phase(name, cells, http, visit)


_PRINT_BODY = f'content_by_lua_block {{ ngx.print("{BODY}") }}'

PHASES = (
    Phase(
        "init",
        _fails(TOO_EARLY),
        "init_by_lua_block { RUN }",
    ),
    Phase(
        "init_worker",
        _disabled("init_worker"),
        'init_worker_by_lua_block { require("phases").prepare() RUN }',
    ),
    Phase(
        "exit_worker",
        Cells(SHUTTING_DOWN, SHUTTING_DOWN, _DISABLED % "exit_worker", WORKS, WORKS),
        PREPARE + " exit_worker_by_lua_block { RUN }",
        _reload,
    ),
    Phase(
        "privileged agent",
        _fails(NO_AGENT),
        """
            init_by_lua_block { require("ngx.process").enable_privileged_agent() }
            init_worker_by_lua_block {
                if require("ngx.process").type() == "privileged agent" then RUN end
            }
        """,
    ),
    _tls("ssl_client_hello", _unpatched(NO_HELLO)),
    _tls("ssl_certificate", YIELDS),
    _tls("ssl_session_fetch", _unpatched(NO_SESSION), _resume),
    _tls("ssl_session_store", _disabled("ssl_session_store")),
    _location("set", _disabled("set"), f"set_by_lua_block $x {{ RUN }} return 200 {BODY};"),
    Phase(
        "server_rewrite",
        YIELDS,
        PREPARE,
        _get,
        "server_rewrite_by_lua_block { if ngx.var.uri == '/it' then RUN end }"
        f" location /it {{ {_PRINT_BODY} }}",
    ),
    _location("rewrite", YIELDS, f"rewrite_by_lua_block {{ RUN }} {_PRINT_BODY}"),
    _location("access", YIELDS, f"access_by_lua_block {{ RUN }} {_PRINT_BODY}"),
    _content("content", YIELDS, "RUN"),
    Phase(
        "balancer",
        _disabled("balancer"),
        f"""
            {PREPARE}
            upstream backend {{
                server 0.0.0.1;
                balancer_by_lua_block {{ RUN ngx.exit(503) }}
            }}
        """,
        _proxy,
        "location /it { proxy_pass http://backend; }",
    ),
    _location(
        "header_filter",
        _disabled("header_filter"),
        f"header_filter_by_lua_block {{ RUN }} {_PRINT_BODY}",
    ),
    _location(
        "body_filter",
        _disabled("body_filter"),
        f"body_filter_by_lua_block {{ RUN }} {_PRINT_BODY}",
    ),
    _location("log", _disabled("log"), f"log_by_lua_block {{ RUN }} {_PRINT_BODY}"),
    _content("ngx.timer.at", YIELDS, "ngx.timer.at(0, function() RUN end)"),
    _content("ngx.timer.every", YIELDS, "ngx.timer.every(0.01, function() RUN end)"),
    _content(
        "premature timer",
        YIELDS,
        "ngx.timer.at(3600, function(premature) assert(premature) RUN end)",
        _get_and_reload,
    ),
    _content("ngx.thread.spawn", YIELDS, "ngx.thread.wait(ngx.thread.spawn(function() RUN end))"),
    _content("coroutine.create", YIELDS, "coroutine.resume(coroutine.create(function() RUN end))"),
    _content("coroutine.wrap", YIELDS, "coroutine.wrap(function() RUN end)()"),
    _location(
        "coroutine.wrap in header_filter",
        _disabled("header_filter"),
        f"header_filter_by_lua_block {{ coroutine.wrap(function() RUN end)() }} {_PRINT_BODY}",
    ),
    _location(
        "ngx.on_abort",
        YIELDS,
        """
            lua_check_client_abort on;
            content_by_lua_block {
                ngx.on_abort(function() RUN ngx.exit(499) end)
                ngx.log(ngx.NOTICE, "on its way")
                ngx.sleep(60)
            }
        """,
        _leave,
    ),
    _content("ngx.req.read_body", YIELDS, "ngx.req.read_body() RUN", _post),
    _content("before ngx.req.read_body", YIELDS, "RUN ngx.req.read_body()", _post),
    _content(
        "amid a cosocket's read",
        YIELDS,
        """
            local sock = ngx.socket.tcp()
            sock:connect("127.0.0.1", ngx.var.server_port)
            sock:send("GET /kept/nothing HTTP/1.0\\r\\n\\r\\n")
            local read = sock:receiveuntil(" ")
            assert(read() == "HTTP/1.1")
            RUN
            assert(read() == "404")
        """,
    ),
    Phase(
        "ngx.location.capture",
        YIELDS,
        PREPARE,
        _get,
        f"""
            location /it {{
                content_by_lua_block {{ ngx.print(ngx.location.capture("/sub").body) }}
            }}
            location /sub {{ content_by_lua_block {{ RUN ngx.print("{BODY}") }} }}
        """,
    ),
    Phase(
        "auth_request",
        YIELDS,
        PREPARE,
        _get,
        f"""
            location /it {{ auth_request /sub; {_PRINT_BODY} }}
            location /sub {{ content_by_lua_block {{ RUN ngx.exit(204) }} }}
        """,
    ),
    Phase(
        "ngx.exec",
        YIELDS,
        PREPARE,
        _get,
        f"""
            location /it {{ rewrite_by_lua_block {{ ngx.exec("/there") }} }}
            location /there {{ access_by_lua_block {{ RUN }} {_PRINT_BODY} }}
        """,
    ),
    _content(
        "require",
        _refuses(C_CALL),
        """
            package.preload.mine = function() RUN return true end
            require("mine")
        """,
    ),
    _content("string.gsub", _refuses(C_CALL), 'string.gsub("x", "x", function() RUN end)'),
    _content("table.sort", _refuses(C_CALL), "table.sort({1, 2}, function() RUN end)"),
    _content(
        "__gc",
        _refuses(C_CALL),
        """
            getmetatable(newproxy(true)).__gc = function() RUN end
            collectgarbage()
        """,
    ),
    _content(
        "FFI callback",
        _refuses(C_CALL),
        """
            local ffi = require "ffi"
            ffi.cdef "void qsort(void *, size_t, size_t, int (*)(const void *, const void *));"
            local compare = ffi.cast("int (*)(const void *, const void *)", function()
                RUN
                return 0
            end)
            ffi.C.qsort(ffi.new("int[2]"), 2, 4, compare)
            compare:free()
        """,
    ),
    Phase(
        "ngx.run_worker_thread",
        Cells(NO_FFI, NO_HANDLE, NO_HANDLE, NO_HANDLE, NO_HANDLE),
        PREPARE,
        _get,
        f"""
            location /it {{
                content_by_lua_block {{
                    require("phases").run_worker_thread() ngx.print("{BODY}")
                }}
            }}
        """,
        "thread_pool phases threads=1;",
    ),
)
