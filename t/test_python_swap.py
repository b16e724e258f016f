"""Python ended, unmapped and replaced in a running worker."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import pythons, target
from harness.wait import wait_for

ROUNDS = int(os.environ.get("RESTY_FFI_CYCLES", "20"))
"""Of starts and ends of each Python."""

MAY_GROW_KIB = 1024
"""A round."""

# numpy is there for one of them; the packaged 3.12 has a ctypes for an older libffi.
APP = """
import asyncio, decimal, json, sqlite3, ssl, sys
try:
    import ctypes
except ImportError:
    assert sys.version_info[:2] == (3, 12)
try:
    import numpy
except ImportError:
    numpy = None
import resty_ffi

def handle(request):
    sqlite3.connect(":memory:").close()
    ssl.create_default_context()
    if numpy is not None:
        numpy.linalg.inv(numpy.eye(3))
    asyncio.run(asyncio.sleep(0))
    return json.dumps("%d.%d" % sys.version_info[:2])

init = resty_ffi.serve(handle)
"""

ECHO = "import resty_ffi\ninit = resty_ffi.serve(lambda request: request)\n"

LUA = {
    "/call": """
        local rt, err = ngx.load_ffi(ngx.var.arg_lib, ngx.var.arg_cfg, {unpin = true})
        if not rt then
            return false, err
        end
        return rt:call("hello")
    """,
    "/unload": """
        return ngx.load_ffi(ngx.var.arg_lib, ngx.var.arg_cfg, {unpin = true}):__unload(10)
    """,
    "/pin": 'return ngx.load_ffi(ngx.var.arg_lib, ngx.var.arg_cfg):call("hello")',
    "/echo": """
        local rt = ngx.load_ffi("echo")
        for i = 1, 1000 do
            assert(rt:echo("x"))
        end
    """,
}


class Swap:
    """A server, and the loaders of all Pythons on this machine."""

    def __init__(self, server, libraries, folder, found):
        self.folder = folder
        self.versions = [python.version for python in found]
        self._found = found
        self.lib = folder / "lib"
        self._make_server = server
        self._libraries = libraries
        self._nginx = None

    @property
    def nginx(self):
        if self._nginx is None:
            self._nginx = self._make_server(
                env={"PYTHONPATH": str(self.folder)},
                library_path=[self._libraries, self.lib],
                lua=LUA,
            )
        return self._nginx

    def write(self, source, name="app.py"):
        (self.folder / name).write_text(source)

    def ask(self, verb, version="3", cfg="app,init"):
        lib = f"ffi_python{version}"
        return self.nginx.values(f"/{verb}?lib={lib}&cfg={cfg}")

    def is_unmapped(self):
        maps = Path(f"/proc/{self.nginx.worker}/maps").read_text()
        return not re.search(r"libpython|interpreter-|lib-dynload|site-packages/numpy", maps)

    def libpython(self, version):
        """The path of its shared library."""
        code = """
import os, sysconfig
print(os.path.join(*map(sysconfig.get_config_var, ("LIBDIR", "INSTSONAME"))))
"""
        python = next(python for python in self._found if python.version == version)
        command = [python.executable, "-c", code]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def use(self, version):
        """As resty-ffi use does it."""
        code = f"from resty_ffi import loaders; loaders.use({version!r})"
        env = {"PYTHONPATH": str(self.folder)}
        subprocess.run([sys.executable, "-c", code], env=env, check=True)


@pytest.fixture
def swap(server, libraries, tmp_path, tmp_path_factory, worker_id):
    base = tmp_path_factory.getbasetemp()
    built = (base if worker_id == "master" else base.parent) / "pythons"
    found = pythons.build_all(built)
    shutil.copytree(built / "lib", tmp_path / "lib", symlinks=True)
    shutil.copytree(
        target.find().libdir.parent,
        tmp_path / "resty_ffi",
        ignore=shutil.ignore_patterns("lib", "__pycache__"),
    )
    (tmp_path / "resty_ffi" / "lib").symlink_to(tmp_path / "lib")
    return Swap(server, libraries, tmp_path, found)


def test_python_is_unmapped_after_the_last_unpinned_runtime(swap):
    swap.write(ECHO)
    swap.write(ECHO, "other.py")
    assert swap.ask("call") == [True, "hello"]
    assert swap.ask("call", cfg="other,init") == [True, "hello"]
    assert swap.ask("unload") == [True]
    assert not swap.is_unmapped()
    assert swap.ask("call", cfg="other,init") == [True, "hello"]
    assert swap.ask("unload", cfg="other,init") == [True]
    wait_for(swap.is_unmapped)


def test_pinned_runtime_keeps_python(swap):
    swap.write(ECHO)
    assert swap.ask("pin") == [True, "hello"]
    assert swap.ask("unload") == [True]
    assert swap.ask("call") == [True, "hello"]
    assert not swap.is_unmapped()


def test_python_that_failed_to_load_a_module_is_unmapped(swap):
    swap.write("import nonexistent")
    assert swap.ask("call")[0] is False
    wait_for(swap.is_unmapped)


@contextmanager
def load_on(nginx):
    """Somebody asks the C library all the time."""
    over = threading.Event()

    def ask():
        while not over.is_set():
            assert nginx.values("/echo") == []

    with ThreadPoolExecutor(1) as client:
        asking = client.submit(ask)
        try:
            yield
        finally:
            over.set()
        asking.result()


def usage_at_rest(nginx, sockets):
    """When the connections of the load are gone."""
    wait_for(lambda: nginx.usage().sockets == sockets)
    return nginx.usage()


def test_every_python_on_this_machine_follows_every_other(swap):
    """Under load: a C runtime beside it answers throughout."""
    assert len(swap.versions) >= 2
    swap.write(APP)
    sockets = swap.nginx.usage().sockets

    def go_round(times):
        for version in [*swap.versions, *swap.versions[-2::-1]] * times:
            assert swap.ask("call", version) == [True, f'"{version}"']
            assert swap.ask("unload", version) == [True]
            wait_for(swap.is_unmapped)

    with load_on(swap.nginx):
        go_round(2)
    before = usage_at_rest(swap.nginx, sockets)
    with load_on(swap.nginx):
        go_round(ROUNDS // 2)
    after = usage_at_rest(swap.nginx, sockets)
    assert (after.threads, after.files) == (before.threads, before.files)
    if not target.ASAN:  # which keeps freed memory for a while
        assert after.resident_kib - before.resident_kib <= MAY_GROW_KIB * ROUNDS


def test_one_python_that_comes_and_goes_leaves_nothing_behind(swap):
    swap.write(APP)
    ours = f"3.{sys.version_info[1]}"
    for count in range(ROUNDS + 3):
        assert swap.ask("call", ours) == [True, f'"{ours}"']
        assert swap.ask("unload", ours) == [True]
        wait_for(swap.is_unmapped)
        if count == 2:
            before = swap.nginx.usage()
    wait_for(lambda: swap.nginx.usage().threads <= before.threads)
    wait_for(lambda: swap.nginx.usage().files <= before.files)
    if not target.ASAN:  # which keeps freed memory for a while
        assert swap.nginx.usage().resident_kib - before.resident_kib <= MAY_GROW_KIB * ROUNDS


def test_default_python_is_switched(swap):
    swap.write(APP)
    for version in swap.versions:
        swap.use(version)
        assert swap.ask("call") == [True, f'"{version}"']
        assert swap.ask("unload") == [True]
        wait_for(swap.is_unmapped)


def test_environment_written_by_a_python_outlives_it(swap):
    swap.write("""
import os, resty_ffi
was = os.environ.get("RESTY_FFI_TEST")
os.environ["RESTY_FFI_TEST"] = "%d.%d " % __import__("sys").version_info[:2] + "x" * 1000
init = resty_ffi.serve(lambda request: was)
""")
    was = [True]
    for version in [*swap.versions, *swap.versions]:
        assert swap.ask("call", version) == was
        assert swap.ask("unload", version) == [True]
        wait_for(swap.is_unmapped)
        was = [True, f"{version} {'x' * 1000}"]


# ---- what keeps a Python


def other_of(swap):
    return swap.versions[0], swap.versions[-1]


def test_other_python_is_refused_while_one_serves(swap):
    one, other = other_of(swap)
    swap.write(ECHO)
    assert swap.ask("call", one) == [True, "hello"]
    found, error = swap.ask("call", other)
    assert found is False
    assert error.endswith(
        f"interpreter-{one}.so runs in this worker, and a worker has one Python at a time: unload "
        "its runtimes, all loaded with unpin = true, or reload nginx"
    )
    assert swap.ask("call", one) == [True, "hello"]


def test_daemon_thread_keeps_python_until_it_ends(swap):
    one, other = other_of(swap)
    fifo = str(swap.folder / "fifo")
    swap.write(
        f"""
import threading
threading.Thread(target=open, args=[{fifo!r}], name="stray", daemon=True).start()
{ECHO}"""
    )
    subprocess.run(["mkfifo", swap.folder / "fifo"], check=True)
    swap.write(ECHO, "plain.py")
    assert swap.ask("call", one) == [True, "hello"]
    assert swap.ask("unload", one) == [True]
    swap.nginx.log.wait(f"Python {one} stays mapped: the thread 'stray' runs")
    found, error = swap.ask("call", other, "plain,init")
    assert found is False
    assert error.endswith(
        f"interpreter-{one}.so cannot be replaced: the thread 'stray' runs; reload nginx"
    )
    assert swap.ask("call", one, "plain,init") == [True, "hello"]
    (swap.folder / "fifo").open("w").close()
    assert swap.ask("unload", one, "plain,init") == [True]
    wait_for(swap.is_unmapped)
    assert swap.ask("call", other, "plain,init") == [True, "hello"]


def build_extension(folder, source, *flags, name="keeper"):
    """An extension module of the Python that runs the tests."""
    path = folder / f"{name}.cc"
    path.write_text(source)
    include = sysconfig.get_path("include")
    command = ["c++", "-shared", "-fPIC", f"-I{include}", path, "-o", folder / f"{name}.so"]
    subprocess.run([*command, *flags], check=True)


UNIQUE = """
#include <Python.h>
template <class T> struct Keeper { static int value; };
template <class T> int Keeper<T>::value = 1;
static PyModuleDef def = {PyModuleDef_HEAD_INIT, "keeper", 0, -1, 0, 0, 0, 0, 0};
extern "C" PyObject *PyInit_keeper(void) { Keeper<int>::value++; return PyModule_Create(&def); }
"""


PLAIN = """
#include <Python.h>
static PyModuleDef def = {PyModuleDef_HEAD_INIT, "NAME", 0, 0, 0, 0, 0, 0, 0};
extern "C" PyObject *PyInit_NAME(void) { return PyModuleDef_Init(&def); }
"""


def test_extensions_that_link_each_other_go_with_python(swap):
    ours = f"3.{sys.version_info[1]}"
    links = ["-Wl,--no-as-needed", "-Wl,-rpath,$ORIGIN", f"-L{swap.folder}", "-l:one.so"]
    for name, flags in {"one": ["-Wl,-soname,one.so"], "two": links, "three": []}.items():
        build_extension(swap.folder, PLAIN.replace("NAME", name), *flags, name=name)
    swap.write(f"import one, two, three\n{ECHO}")
    for _ in range(2):
        assert swap.ask("call", ours) == [True, "hello"]
        assert swap.ask("unload", ours) == [True]
        wait_for(swap.is_unmapped)


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        ([], "defines the unique symbol _ZN6KeeperIiE5valueE, and so stays mapped"),
        (["-fno-gnu-unique", "-Wl,-z,nodelete"], "is linked to stay mapped (nodelete)"),
    ],
)
def test_extension_that_stays_mapped_keeps_python(swap, flags, reason):
    ours = f"3.{sys.version_info[1]}"
    other = next(version for version in swap.versions if version != ours)
    build_extension(swap.folder, UNIQUE, *flags)
    swap.write(f"import keeper\n{ECHO}")
    swap.write(ECHO, "plain.py")
    assert swap.ask("call", ours) == [True, "hello"]
    assert swap.ask("unload", ours) == [True]
    swap.nginx.log.wait(rf"Python {ours} stays mapped: .*keeper.so {re.escape(reason)}")
    found, error = swap.ask("call", other, "plain,init")
    assert found is False
    assert error.endswith(f"{reason}; reload nginx")
    assert swap.ask("call", ours) == [True, "hello"]


def test_library_that_links_another_python_is_named(swap):
    one, other = other_of(swap)
    libpython = swap.libpython(other)
    source = swap.folder / "guest.c"
    source.write_text(
        "#include <dlfcn.h>\n"
        f'int libffi_init(char *cfg, void *tq) {{ return dlopen("{libpython}", RTLD_NOW) != 0; }}'
    )
    subprocess.run(["cc", "-shared", "-fPIC", source, "-o", swap.lib / "libguest.so"], check=True)
    swap.write(ECHO)
    assert swap.nginx.values("/call?lib=guest")[0] is False
    found, error = swap.ask("call", one)
    assert found is False
    assert re.fullmatch(
        rf"another library has brought {libpython} into this worker: load ffi_python3 without it",
        error,
    )


def test_library_that_is_no_interpreter_is_a_failed_load(swap):
    one, other = other_of(swap)
    swap.write(ECHO)
    source = swap.folder / "stub.c"
    source.write_text("int nothing;")
    stub = swap.lib / f"interpreter-{one}.so"
    stub.unlink()
    subprocess.run(["cc", "-shared", "-fPIC", source, "-o", stub], check=True)
    found, error = swap.ask("call", one)
    assert found is False
    assert error.endswith(f"{stub} is none of this resty-ffi: install its loaders again")
    assert swap.ask("call", other) == [True, "hello"]
