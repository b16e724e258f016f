"""Where the installed package keeps what is not Python."""

from __future__ import annotations

from pathlib import Path

LIBDIR = Path(__file__).resolve().parent / "lib"

MODULE = LIBDIR / "ngx_http_lua_ffi_module.so"

LOADER = LIBDIR / "libffi_python3.so"

LUADIR = Path(__file__).resolve().parent / "lua"
