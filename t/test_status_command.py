"""resty-ffi status and resty-ffi top."""

import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from harness.status import LOCATION, runtime

COMMAND = Path(sys.executable).with_name("resty-ffi")

LUA = """
    local rt = ngx.load_ffi("fail", '{"size": 3, "password": "hunter2"}')
    return rt:fail("3:" .. ngx.unescape_uri(ngx.var.arg_why or "why"))
"""


def run(*arguments):
    return subprocess.run([COMMAND, *arguments], capture_output=True, text=True, timeout=60)


@pytest.fixture
def nginx(server):
    made = server(server=LOCATION, lua=LUA)
    made.values()
    return made


def test_status_is_printed(nginx):
    done = run("status", nginx.url + "/status")
    assert done.returncode == 0
    fail = runtime(nginx, "fail")
    assert f'fail [{fail["id"]}]  {{"size":3,"password":"***"}}\n' in done.stdout
    assert re.search(rf"0 +{nginx.worker} +ready +1 +1 +0 ", done.stdout)
    assert re.search(r"worker 0, \d{4}-\d\d-\d\d \d\d:\d\d:\d\d: why\n", done.stdout)
    assert re.search(r"(\d+(µs|ms|s) \d+(µs|ms|s) *){3}\n", done.stdout)


def test_status_is_read_from_a_unix_socket(server):
    nginx = server(
        http="server { listen unix:status.sock; location /x { lua_ffi_status; } }", lua=LUA
    )
    nginx.values()
    done = run("status", f"unix:{nginx.folder}/status.sock:/x")
    assert "fail [" in done.stdout


def test_terminal_is_not_told_what_to_do(nginx):
    nginx.values("/?why=%1b[31mred%07")
    # The first error of a second is the one that is kept.
    message = runtime(nginx, "fail")["workers"][0]["error"]["message"]
    done = run("status", nginx.url + "/status")
    assert "\x1b" not in done.stdout
    assert message.replace("\x1b", "?").replace("\x07", "?") in done.stdout


def test_top_shows_what_happens_in_between(nginx):
    with subprocess.Popen(
        [COMMAND, "top", nginx.url + "/status", "--interval", "0.2"],
        stdout=subprocess.PIPE,
        text=True,
    ) as top:
        assert next(top.stdout).startswith("resty-ffi ")
        for line in top.stdout:
            nginx.values()
            rate = re.search(r"\] +1 +ready +(\d+\.\d) +(\d+\.\d) ", line)
            if rate and float(rate[1]) > 0 and float(rate[2]) > 0:
                break
        top.send_signal(signal.SIGINT)
        top.stdout.read()
    assert top.returncode == 0


def test_top_ends_after_its_rounds(nginx):
    done = run("top", nginx.url + "/status", "--interval", "0.1", "--rounds", "3")
    assert done.returncode == 0
    assert len(re.findall("^resty-ffi ", done.stdout, re.MULTILINE)) == 3
    assert "\x1b" not in done.stdout


def test_top_redraws_a_terminal(nginx):
    master, slave = pty.openpty()
    command = [COMMAND, "top", nginx.url + "/status", "--interval", "0.1", "--rounds", "2"]
    subprocess.run(command, stdout=slave, check=True, timeout=60)
    os.close(slave)
    shown = b""
    with open(master, "rb", buffering=0) as screen:  # noqa: PTH123
        while True:
            try:
                shown += screen.read(4096)
            except OSError:
                break
    assert shown.count(b"\x1b[H\x1b[2J") == 2


@pytest.mark.parametrize("command", ["status", "top"])
def test_command_says_why_there_is_no_status(nginx, command):
    for url, why in [
        ("http://127.0.0.1:1/status", "refused"),
        (nginx.url + "/", "the location needs lua_ffi_status;"),
        ("ftp://x", "a URL is http://"),
        ("unix:/nonexistent:/x", "No such file"),
    ]:
        done = run(command, url)
        assert done.returncode == 1
        assert why in done.stderr
        assert "Traceback" not in done.stderr
