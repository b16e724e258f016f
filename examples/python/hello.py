"""Greets whom the request names; the runtime's configuration says how."""

from __future__ import annotations

import ctypes

import resty_ffi


def init(cfg: int, tq: int) -> int | None:
    greeting = ctypes.string_at(cfg).decode() if cfg else "Hello"

    def greet(name: bytes | None) -> str:
        return f"{greeting}, {(name or b'nobody').decode()}!"

    return resty_ffi.serve(greet)(cfg, tq)
