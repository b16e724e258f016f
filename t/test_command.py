"""The console command resty-ffi, the demo and the verbs: what a new user runs first."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from harness import target
from harness.config import TESTS

pytestmark = pytest.mark.no_asan("these start an nginx of their own, without libasan")

PROJECT = TESTS.parent
COMMAND = Path(sys.executable).with_name("resty-ffi")


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, *arguments],
        env={**os.environ, "NGINX_BIN": target.find().nginx, **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def fake_nginx(tmp_path):
    """Makes an nginx that only tells its version and its build's arguments."""

    def make(version: str, arguments: str = "--with-compat") -> Path:
        path = tmp_path / "nginx"
        path.write_text(
            "#!/bin/sh\n"
            f"echo 'nginx version: nginx/{version}' >&2\n"
            f"echo 'configure arguments: {arguments}' >&2\n"
        )
        path.chmod(0o755)
        return path

    return make


def test_module_path_is_that_of_the_module():
    path = Path(run("module-path").stdout.strip())
    assert path.is_absolute()
    assert path.name == target.MODULE
    assert path.is_file()


def test_libdir_has_the_loaders():
    folder = Path(run("libdir").stdout.strip())
    assert (folder / "libffi_python3.so").is_file()
    assert (folder / "libresty_ffi_python.so").is_file()


def test_printed_configuration_is_accepted_by_nginx(tmp_path):
    # An nginx whose own configuration loads nothing: all lines are printed.
    main, _, http = run("conf").stdout.partition("\n\n")
    modules = "".join(f"load_module {path};\n" for path in target.find().lua_modules)
    loads = main if all(str(path) in main for path in target.find().lua_modules) else modules + main
    conf = tmp_path / "nginx.conf"
    conf.write_text(f"{loads}\npid nginx.pid;\nevents {{}}\nhttp {{\n{http}\n}}\n")
    check = subprocess.run(
        [target.find().nginx, "-t", "-p", tmp_path, "-c", conf, "-e", "stderr"],
        capture_output=True,
        text=True,
    )
    assert check.returncode == 0, check.stderr


def test_lines_that_nginx_has_already_are_not_printed(fake_nginx, tmp_path):
    conf = tmp_path / "nginx.conf"
    nginx = fake_nginx("1.22.1", f"--modules-path={tmp_path} --conf-path={conf}")
    names = ["ndk_http_module.so", "ngx_http_lua_module.so", target.MODULE]
    for name in names:
        (tmp_path / name).touch()
    conf.write_text("".join(f"load_module modules/{name};\n" for name in names))
    assert "load_module" not in run("conf", "--nginx", nginx).stdout


def test_doctor_finds_nothing_wrong_here():
    check = run("doctor")
    assert check.returncode == 0, check.stdout
    assert "FAIL" not in check.stdout
    assert "nginx loads the module" in check.stdout


def test_doctor_says_how_to_get_nginx():
    check = run("doctor", "--nginx", "/nowhere/nginx")
    assert check.returncode == 1
    assert re.search(r"FAIL.*/nowhere/nginx.*\n.*apt-get install nginx", check.stdout)


def test_doctor_tells_an_nginx_of_another_version(fake_nginx):
    check = run("doctor", "--nginx", fake_nginx("1.99.9"))
    assert check.returncode == 1
    assert re.search(r"FAIL  nginx 1\.99\.9.*was built for [\d.]+\n.*reinstall", check.stdout)


def test_doctor_says_how_to_get_the_lua_module(fake_nginx, tmp_path):
    nginx = fake_nginx("1.22.1", f"--with-compat --modules-path={tmp_path}")
    check = run("doctor", "--nginx", nginx)
    assert check.returncode == 1
    assert re.search(r"FAIL  Lua module.*\n.*libnginx-mod-http-lua", check.stdout)


def test_doctor_tells_a_python_that_cannot_be_used():
    check = run("doctor", RESTY_FFI_PYTHON="/nowhere/python3")
    assert check.returncode == 1
    assert re.search(r"FAIL  Python: .*/nowhere/python3.*\n.*install resty-ffi", check.stdout)


def test_doctor_names_the_env_line_that_is_missing():
    assert 'add "env PYTHONPATH;"' in run("doctor", PYTHONPATH="/srv/app").stdout


def test_command_without_nginx_fails_in_one_line():
    check = run("conf", "--nginx", "/nowhere/nginx")
    assert check.returncode == 1
    assert check.stderr.count("\n") == 1
    assert "resty-ffi doctor" in check.stderr


def test_package_is_typed_and_of_one_version():
    code = "import resty_ffi, resty_ffi._build as b; print(resty_ffi.__path__[0], b.VERSION)"
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    folder, version = asked.stdout.split()
    assert (Path(folder) / "py.typed").exists()
    assert run("--version").stdout == f"resty-ffi {version}\n"
    assert f"version: '{version}'" in (PROJECT / "meson.build").read_text()


def test_serve_says_that_only_nginx_can_call_it():
    code = "import resty_ffi; resty_ffi.serve(lambda request: request)(0, 0)"
    failed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert failed.stderr.splitlines()[-1] == (
        "RuntimeError: only nginx calls what serve() returns: see resty_ffi.testing"
    )


def test_demo_shows_two_runtimes_and_an_edit_and_ends():
    demo = subprocess.run(
        [sys.executable, PROJECT / "examples" / "demo.py"],
        env={**os.environ, "NGINX_BIN": target.find().nginx},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert demo.returncode == 0, demo.stderr
    answers = [line for line in demo.stdout.splitlines() if "World" in line and "curl" not in line]
    assert answers == [
        "Hello, World!",
        "Bonjour, World!",
        "Hello, World, how are you?",
        "Bonjour, World!",
    ]


def test_make_lists_its_verbs():
    listed = subprocess.run(["make", "help"], cwd=PROJECT, capture_output=True, text=True).stdout
    verbs = {line.split()[1] for line in listed.splitlines() if line.startswith("make ")}
    assert verbs >= {"demo", "test", "lint", "format", "asan", "tsan", "bench", "clean"}


def make_loader(*variables: str | Path) -> subprocess.CompletedProcess[str]:
    """In a virtual environment that has all that building needs."""
    stamp = Path(sys.prefix) / "build.stamp"
    return subprocess.run(
        ["make", "-o", stamp, "loader", f"VENV={sys.prefix}", *variables],
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )


def test_loader_is_not_installed_where_no_loaders_are(tmp_path):
    made = make_loader(f"LIBDIR={tmp_path}")
    assert made.returncode != 0
    assert 'LIBDIR must be what "resty-ffi libdir" says' in made.stderr
    assert list(tmp_path.iterdir()) == []


def test_loader_of_a_python_that_is_not_there_is_an_error():
    made = make_loader(f"LIBDIR={run('libdir').stdout.strip()}", "PYTHON=/nowhere/python3.12")
    assert made.returncode != 0
    assert "there is no /nowhere/python3.12" in made.stderr
