"""The ways to have a request echoed."""

from __future__ import annotations

RUNTIMES = {
    "C": 'ngx.load_ffi("echo")',
    "Rust": 'ngx.load_ffi("rust_apps", "echo")',
    "Go": 'ngx.load_ffi("go_apps", "echo")',
    "Java": 'ngx.load_ffi("ffi_java", "Echo,init")',
    "Node.js": 'ngx.load_ffi("ffi_nodejs", "echo,init,")',
    "Python": 'ngx.load_ffi("ffi_python3", "sync_echo,init")',
    "async": 'ngx.load_ffi("ffi_python3", "async_echo,init")',
}
"""Lua that loads them."""

CFFI = 'ngx.load_ffi("ffi_python3", "cffi_echo,init")'

THREAD_POOL = "thread_pool bench threads=1;"

THREAD = 'ngx.run_worker_thread("bench", "thread_echo", "echo", {})'
"""Lua that hands {} to a thread of nginx's own, which runs Lua."""
