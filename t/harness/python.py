"""Python modules that a test writes, and an nginx that runs them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any, Callable
from urllib.parse import urlencode

from .server import Server, Values

_LUA = {
    "/load": "local rt, err = load() return rt ~= nil, err",
    "/unload": "return load():__unload(10)",
    "/call": """
        local rt, err = load()
        if not rt then
            return rt, err
        end
        local args = ngx.req.get_uri_args()
        local opts = { timeout = tonumber(args.timeout) }
        if args.method == "" then
            return rt(args.request, opts)
        end
        return rt[args.method](rt, args.request, opts)
    """,
}

_PRELUDE = """
    local function load()
        local args = ngx.req.get_uri_args()
        return ngx.load_ffi(args.library, args.cfg)
    end
"""


class Python:
    """A folder that is on PYTHONPATH, and an nginx, started when it is needed.
    Other languages' are made of it.

    cfg is what ngx.load_ffi() gets; an app that is called is loaded first.
    """

    library = "ffi_python3"
    path_variable = "PYTHONPATH"

    def __init__(self, make_server: Callable[..., Server], folder: Path) -> None:
        self.folder = folder
        self._make_server = make_server
        self._nginx: Server | None = None

    @property
    def nginx(self) -> Server:
        return self._nginx or self.start()

    def start(self, **options: Any) -> Server:
        """Needed only for options, those of harness.config.Config; lua is more
        locations."""
        env = {self.path_variable: self.search_path, **options.pop("env", {})}
        lua = {**_LUA, **options.pop("lua", {})}
        self._nginx = self._make_server(env=env, lua=lua, prelude=_PRELUDE, **options)
        return self._nginx

    @property
    def search_path(self) -> str:
        return str(self.folder)

    def write(self, name: str, source: str = "") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(source))
        return path

    def write_app(self, name: str, source: str) -> Path:
        """source defines handle(request); the entry function is init."""
        return self.write(
            name, f"from resty_ffi import serve\n{dedent(source)}\ninit = serve(handle)\n"
        )

    def load(self, cfg: str | None) -> Values:
        """[True], or False and the error."""
        return self.nginx.values(self.path("load", cfg))

    def call(self, cfg: str, request: str | bytes | None = "", **options: Any) -> Values:
        """What the call returned, or nil and the error of the load. Options are
        those of path()."""
        return self.nginx.values(self.path("call", cfg, request, **options))

    def answer(self, cfg: str, request: str | bytes | None = "") -> str:
        """The response to a call that must succeed."""
        values = self.call(cfg, request)
        assert values[0] is True, values
        return values[1]

    def unload(self, cfg: str) -> None:
        """Returns when the runtime is gone."""
        assert self.nginx.values(self.path("unload", cfg)) == [True]

    def path(
        self,
        verb: str,
        cfg: str | None,
        request: str | bytes | None = None,
        method: str = "call",
        timeout: float | None = None,
    ) -> str:
        """What begin() asks for. method "" is a plain call."""
        args = {
            "library": self.library,
            "cfg": cfg,
            "request": request,
            "method": method,
            "timeout": timeout,
        }
        known = {name: value for name, value in args.items() if value is not None}
        return f"/{verb}?{urlencode(known)}"
