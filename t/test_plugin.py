"""The pytest fixture resty_ffi_nginx, in a pytest of its own."""

import os
import re
import subprocess
import sys

import pytest
from harness import target

pytestmark = pytest.mark.no_asan("the fixture starts an nginx of its own, without libasan")

APP = """
import os

class KV:
    def __init__(self, cfg):
        self.values = {"cfg": cfg, "env": os.environ.get("SHOP")}

    def get(self, request):
        return self.values.get(request.decode())
"""


def run_pytest(folder, tests, *options):
    (folder / "app.py").write_text(APP)
    (folder / "test_app.py").write_text(tests)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "test_app.py"],
        cwd=folder,
        env={**os.environ, "NGINX_BIN": target.find().nginx},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_fixture_boots_nginx_with_a_handler(tmp_path):
    run = run_pytest(
        tmp_path,
        """
def test_get(resty_ffi_nginx):
    kv = resty_ffi_nginx("app:KV", cfg="a,b", env={"SHOP": "open"})
    assert kv.post("/get", b"cfg").body == b"a,b"
    assert kv.get("/get?env").text == "open"
    assert kv.get("/nothing").status == 404

def test_two_servers_and_lua_of_ones_own(resty_ffi_nginx):
    location = '''
        location /lua {
            content_by_lua_block {
                local kv = ngx.load_ffi("ffi_python3", "app,KV,lua")
                ngx.print(select(2, kv:get("cfg")))
            }
        }
    '''
    import pathlib
    folder = str(pathlib.Path(__file__).parent)
    one = resty_ffi_nginx("app:KV", server=location, env={"PYTHONPATH": folder})
    other = resty_ffi_nginx("app:KV", cfg="other")
    assert one.get("/lua").text == "lua"
    assert other.post("/get", "cfg").text == "other"
""",
    )
    assert run.returncode == 0, run.stdout


def test_failed_test_shows_the_error_log(tmp_path):
    run = run_pytest(
        tmp_path,
        """
def test_get(resty_ffi_nginx):
    kv = resty_ffi_nginx("app:KV")
    assert kv.post("/get", b"\\xff").status == 200
""",
    )
    assert run.returncode == 1
    assert re.search("nginx's error.log, http://127.0.0.1", run.stdout)
    assert "UnicodeDecodeError" in run.stdout


def test_handler_that_does_not_load_fails_the_test(tmp_path):
    run = run_pytest(tmp_path, 'def test_it(resty_ffi_nginx): resty_ffi_nginx("nothing:KV")')
    assert run.returncode == 1
    assert "nothing:KV does not load: ModuleNotFoundError" in run.stdout


def test_session_without_the_fixture_pays_nothing(tmp_path):
    run = run_pytest(
        tmp_path,
        """
import sys
def test_it():
    assert "resty_ffi.server" not in sys.modules
    assert "resty_ffi.client" not in sys.modules
""",
    )
    assert run.returncode == 0, run.stdout
