"""The module in nginx.conf: how it is loaded and configured."""

import re
import socket
import subprocess

import pytest
from harness import target
from harness.library import INCLUDE


@pytest.mark.parametrize("order", [("lua", "ffi"), ("ffi", "lua")])
def test_load_module_lines_may_come_in_either_order(server, order):
    nginx = server(modules=order, lua='return ngx.load_ffi("echo"):echo("hello")')
    assert nginx.values() == [True, "hello"]


@pytest.mark.skipif(not target.find().lua_modules, reason="this nginx has Lua linked in")
def test_missing_lua_module_is_named(server):
    nginx = server(start=False, modules=("ffi",))
    check = nginx.check_config()
    assert check.returncode != 0
    assert re.search(r"\[emerg\].*needs ngx_http_lua_module", check.stderr)


def test_config_check_loads_no_library(server):
    load = 'ngx.load_ffi("mark")'
    nginx = server(
        start=False,
        http=f"init_by_lua_block {{ {load} }} init_worker_by_lua_block {{ {load} }}",
    )
    assert nginx.check_config().returncode == 0
    assert not (nginx.folder / "loaded").exists()


def test_master_loads_no_library(server):
    nginx = server(
        http="""init_by_lua_block {
            require("harness").keep("load", ngx.load_ffi("mark"))
        }"""
    )
    runtime, why = nginx.kept("load")
    assert runtime is None
    assert "before the worker has started" in why
    assert not (nginx.folder / "loaded").exists()


@pytest.mark.parametrize(
    ("directive", "complaint"),
    [
        ("lua_ffi_max_queue 0;", '"lua_ffi_max_queue" must be between 1 and'),
        ("lua_ffi_max_queue many;", "invalid number"),
        ("lua_ffi_max_queue;", "invalid number of arguments"),
        ("lua_ffi_max_queue 1; lua_ffi_max_queue 2;", "duplicate"),
        ("lua_ffi_timeout 0;", '"lua_ffi_timeout" directive must be between'),
        ("lua_ffi_timeout soon;", "invalid value"),
        ("lua_ffi_timeout 1s; lua_ffi_timeout 2s;", "duplicate"),
        ("lua_ffi_shutdown_timeout soon;", "invalid value"),
        ("lua_ffi_shutdown_timeout -1s;", "invalid value"),
        ("lua_ffi_library_path;", "invalid number of arguments"),
        ('lua_ffi_library_path "";', "empty folder"),
        ("lua_ffi_library_path /a; lua_ffi_library_path /b;", "duplicate"),
        ("server { lua_ffi_timeout 1s; }", "not allowed here"),
    ],
)
def test_bad_directive_is_refused(server, directive, complaint):
    nginx = server(start=False, library_path=[], http=directive)
    check = nginx.check_config()
    assert check.returncode != 0
    assert complaint in check.stderr


def test_good_directives_are_accepted(server):
    nginx = server(
        library_path=["/a", "relative/b"],
        http="lua_ffi_max_queue 1; lua_ffi_timeout 10ms; lua_ffi_shutdown_timeout 1m;",
    )
    assert nginx.check_config().returncode == 0


def test_timeout_directive_ends_a_call(server):
    nginx = server(http="lua_ffi_timeout 50ms;", lua='return ngx.load_ffi("gate"):wait("held")')
    assert nginx.values() == [False, "timeout"]


def test_max_queue_directive_bounds_the_calls(server):
    nginx = server(http="lua_ffi_max_queue 1;", lua='return ngx.load_ffi("gate"):wait("held")')
    first = nginx.begin()
    held = nginx.gate.wait()
    assert nginx.values() == [False, "queue full"]
    held.open("served")
    assert first.result() == [True, "served"]


def test_option_comes_before_the_directive(server):
    nginx = server(
        http="lua_ffi_timeout 1h;",
        lua='return ngx.load_ffi("gate", nil, {timeout = 0.3}):wait("held")',
    )
    assert nginx.values() == [False, "timeout"]


@pytest.mark.parametrize("name", ["resty.ffi", "resty_ffi"])
def test_module_can_be_required(server, name):
    nginx = server(lua=f'return require("{name}").load == ngx.load_ffi')
    assert nginx.values() == [True]


def test_lua_core_is_still_itself(server):
    nginx = server(lua='return require("resty.core").version ~= nil, ngx.re.match("abc", "b")[0]')
    assert nginx.values() == [True, "b"]


def test_few_connections_are_enough(server):
    nginx = server(events="worker_connections 4;", lua='return ngx.load_ffi("echo"):echo("hello")')
    assert nginx.values() == [True, "hello"]


def test_stream_block_serves_beside_runtimes(server):
    # An OpenResty has it built in.
    folders = {path.parent for path in target.find().lua_modules}
    load = "".join(f"load_module {folder}/ngx_stream_module.so;" for folder in folders)
    nginx = server(
        main=f"{load} stream {{ server {{ listen unix:stream; return hello; }} }}",
        lua='return ngx.load_ffi("echo"):echo("hello")',
    )
    for _ in range(10):
        assert nginx.values() == [True, "hello"]
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(nginx.folder / "stream"))
            assert connection.recv(100) == b"hello"


def test_each_worker_has_its_own_runtimes(server):
    nginx = server(workers=2, lua="return ngx.worker.pid(), ngx.load_ffi('serial'):get()")
    seen = {}
    while len(seen) < 2:
        pid, _, serial = nginx.values()
        seen[pid] = serial
    assert set(seen.values()) == {"1"}


def test_module_exports_only_its_contract():
    symbols = subprocess.run(
        ["nm", "-D", "--defined-only", target.find().module],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    names = {line.split()[2] for line in symbols.splitlines()}
    own = {name for name in names if not re.match(r"_|\.", name)}
    header = (INCLUDE / "ngx_http_lua_ffi.h").read_text()
    contract = set(re.findall(r"\b(ngx_http_lua_ffi_[a-z_]+)\(", header))
    assert own == contract | {"ngx_modules", "ngx_module_names", "ngx_module_order"}
