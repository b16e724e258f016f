"""Files of libraries: replaced, broken, and several of one library at once."""

from __future__ import annotations

import socket

import pytest
from harness import library

LUA = {
    "/": """
        local rt, err = ngx.load_ffi(ngx.unescape_uri(ngx.var.arg_name), ngx.var.arg_cfg,
                                     {unpin = ngx.var.arg_unpin ~= nil})
        if not rt then
            return nil, err
        end
        return select(2, rt:get())
    """,
    "/unload": """
        return ngx.load_ffi(ngx.unescape_uri(ngx.var.arg_name), ngx.var.arg_cfg):__unload(10)
    """,
}


@pytest.fixture
def versions(server, tmp_path):
    """An nginx with version 1 of a library; its replace(version) changes the file."""
    nginx = server(start=False, library_path=[tmp_path], lua=LUA)
    nginx.replace = lambda version: library.build("version", tmp_path, {"VERSION": version})
    nginx.replace("1")
    nginx.start()
    return nginx


def test_pinned_code_is_used_again_when_a_fresh_copy_is_gone(versions):
    assert versions.values("/?name=version&cfg=a") == ["1"]
    versions.replace("2")
    assert versions.values("/?name=version%3f&cfg=b&unpin=1") == ["2"]
    assert versions.values("/unload?name=version%3f&cfg=b") == [True]
    assert versions.values("/?name=version&cfg=c") == ["1"]
    assert versions.values("/?name=version%3f&cfg=d") == ["2"]
    for cfg in "ac":
        assert versions.values(f"/unload?name=version&cfg={cfg}") == [True]
    assert versions.values("/?name=version&cfg=e") == ["2"]


def test_library_that_has_two_names_is_read_afresh_by_each(versions, tmp_path):
    path = tmp_path / "libversion.so"
    assert versions.values("/?name=version&cfg=a") == ["1"]
    versions.replace("2")
    assert versions.values(f"/?name={path}&cfg=a") == ["1"]
    assert versions.values(f"/?name={path}%3f&cfg=b") == ["2"]
    assert versions.values("/?name=version%3f&cfg=b") == ["2"]


@pytest.mark.parametrize("options", ["", "&unpin=1"])
@pytest.mark.parametrize("percent", [1, 10, 50])
def test_file_that_is_still_being_written_is_an_error(versions, tmp_path, options, percent):
    file = tmp_path / "libversion.so"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) * percent // 100])
    runtime, why = versions.values(f"/?name=version{options}")
    assert runtime is None
    assert "libversion.so" in why
    file.write_bytes(whole)
    assert versions.values(f"/?name=version{options}") == ["1"]


def test_file_that_is_mended_after_a_failed_load_is_read_afresh(versions, tmp_path):
    library.build("fail_init", tmp_path).rename(tmp_path / "libversion.so")
    assert versions.values("/?name=version") == [None, "libffi_init() returned 7"]
    versions.replace("1")
    assert versions.values("/?name=version") == ["1"]


def test_term_ends_a_worker_that_waits_for_a_load(server):
    nginx = server(
        lua="return 1",
        http="""
            server {
                listen unix:set.sock;
                location / {
                    set_by_lua_block $x { ngx.load_ffi("slow_start") return 1 }
                    return 200;
                }
            }
        """,
    )
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(nginx.folder / "set.sock"))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        nginx.gate.wait()
        assert nginx.stop("TERM") == 0


def test_every_event_loop_of_a_library_is_told_of_the_end(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("event_loop", "3")
            assert(rt:echo("x"))
            return rt:__unload(10)
        """
    )
    assert nginx.values() == [True]
