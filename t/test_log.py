"""Guests write to nginx's error.log, from their own threads."""

import os
from pathlib import Path

import pytest
from harness.wait import wait_for


@pytest.mark.parametrize("level", ["error", "warn", "notice"])
def test_line_has_its_level_and_the_name_of_the_runtime(server, level):
    nginx = server(lua=f'return ngx.load_ffi("logger"):{level}("hello there")')
    nginx.values()
    nginx.log.wait(rf'\[{level}\] .*ffi: runtime "logger": hello there')


def test_level_below_the_logs_own_is_dropped(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("logger")
            rt:debug("unseen")
            rt:notice("seen")
        """
    )
    nginx.get()
    nginx.log.wait("seen")
    assert not nginx.log.find("unseen")


def test_message_of_many_lines_is_many_lines(server):
    nginx = server(lua='return ngx.load_ffi("logger"):warn("first\\nsecond\\nthird\\n")')
    nginx.values()
    for text in ["first", "second", "third"]:
        nginx.log.wait(rf'\[warn\] .*runtime "logger": {text}$')


def test_long_line_does_no_harm(server):
    nginx = server(lua='return ngx.load_ffi("logger"):warn(("x"):rep(1000000))')
    nginx.values()
    nginx.log.wait('runtime "logger": xxx')


def test_line_without_a_runtime_has_no_name(server):
    nginx = server(lua='return ngx.load_ffi("logger"):nameless("hello")')
    nginx.values()
    assert "runtime" not in nginx.log.wait("ffi: hello")


def test_configuration_is_not_shown(server):
    nginx = server(lua='return ngx.load_ffi("logger", "password"):warn("hello")')
    nginx.values()
    nginx.log.wait('runtime "logger": hello')
    assert not nginx.log.find("password")


def test_flood_is_bounded_and_counted(server):
    nginx = server(lua='return ngx.load_ffi("logger"):flood("wave")')
    nginx.values()
    nginx.log.wait(r"ffi: \d+ .*(dropped|lost)")
    assert len(nginx.log.find(": wave")) < 100000


def test_reopened_log_is_written_to(server):
    nginx = server(lua='return ngx.load_ffi("logger"):warn(ngx.var.arg_text)')
    nginx.values("/?text=before")
    nginx.log.wait("before")
    nginx.log.path.rename(nginx.folder / "old.log")
    nginx.signal("USR1")
    wait_for(lambda: str(nginx.log.path) in open_files(nginx))
    nginx.values("/?text=after")
    nginx.log.wait("after")


def open_files(nginx):
    return [os.readlink(file) for file in Path(f"/proc/{nginx.worker}/fd").iterdir()]
