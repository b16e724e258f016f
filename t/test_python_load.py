"""What a Python configuration means, and how its load fails."""

import sys
from pathlib import Path

import pytest

SHOW_CFG = """
    import ctypes

    def init(cfg, tq):
        text = ctypes.string_at(cfg) if cfg else None
        return serve(lambda request: repr(text))(cfg, tq)

    from resty_ffi import serve
"""


# ---- the configuration


@pytest.mark.parametrize(
    ("cfg", "text"),
    [
        ("app,init", None),
        ("app,init,", b""),
        ("app,init,text", b"text"),
        ("app,init,a,b,,c", b"a,b,,c"),
        ("app?,init", None),
        ("app?,init,a,b", b"a,b"),
    ],
)
def test_function_gets_what_follows_the_second_comma(python, cfg, text):
    python.write("app.py", SHOW_CFG)
    assert python.call(cfg) == [True, repr(text)]


@pytest.mark.parametrize("module", ["app", "package.app", "package.deeper.app", "package"])
def test_module_may_be_a_package_or_in_one(python, module):
    path = module.replace(".", "/")
    python.write_app(f"{path}.py", "def handle(request): return request")
    if module == "package":
        (python.folder / "package.py").rename(python.folder / "moved.py")
        python.write("package/__init__.py", "from moved import init")
    assert python.call(f"{module},init", "hello") == [True, "hello"]


def test_folder_in_front_of_the_module_is_searched_first(python, tmp_path):
    folder = tmp_path / "some" / "folder"
    python.write_app(
        "some/folder/app.py",
        """
        import json
        import neighbour
        def handle(request): return json.WHOSE + neighbour.NAME
        """,
    )
    python.write("some/folder/json.py", "WHOSE = 'my '")
    python.write("some/folder/neighbour.py", "NAME = 'neighbour'")
    assert python.call(f"{folder}/app,init") == [True, "my neighbour"]


def test_folder_is_of_its_runtime_only(python, tmp_path):
    python.write_app("elsewhere/app.py", "def handle(request): return request")
    python.write_app(
        "other.py",
        """
        import json
        import sys
        def handle(request): return json.dumps([p for p in sys.path if p.endswith("elsewhere")])
        """,
    )
    python.write("elsewhere/json.py")
    assert python.load(f"{tmp_path}/elsewhere/app,init") == [True]
    assert python.call("other,init") == [True, "[]"]
    assert python.load("app,init") == [False, "ModuleNotFoundError: No module named 'app'"]


def test_relative_folder_is_in_the_working_folder(python):
    nginx = python.start()
    (nginx.folder / "apps").mkdir()
    source = python.write_app("app.py", "def handle(request): return request")
    source.rename(nginx.folder / "apps" / "app.py")
    assert python.call("apps/app,init", "hello") == [True, "hello"]


# ---- the entry function


@pytest.mark.parametrize("result", ["None", "0", "False"])
def test_function_that_returns_nothing_has_succeeded(python, result):
    python.write("app.py", f"def init(cfg, tq): return {result}")
    assert python.load("app,init") == [True]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("return 1", "app.init returned 1"),
        ("return 'no'", "app.init returned 'no'"),
        ("raise ValueError('no such thing')", "ValueError: no such thing"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("import nothing", "ModuleNotFoundError: No module named 'nothing'"),
        ("serve(None)", "TypeError: handler must be a function, a class or an object with methods"),
        ("serve(print)(cfg, tq + 1)", "is not the task queue of a runtime"),
        ("serve(print)(cfg, tq); serve(print)(cfg, tq)", "is served by one handler"),
    ],
)
def test_function_that_fails_is_a_failed_load(python, body, error):
    python.write("app.py", f"from resty_ffi import serve\ndef init(cfg, tq):\n    {body}")
    loaded, why = python.load("app,init")
    assert not loaded
    assert error in why


@pytest.mark.parametrize(
    ("cfg", "error"),
    [
        (None, "no configuration: <module>,<function> is needed"),
        ("", 'no function in "": <module>,<function> is needed'),
        ("app", 'no function in "app": <module>,<function> is needed'),
        ("app,", 'no function in "app,": <module>,<function> is needed'),
        ("app,,text", 'no function in "app,...": <module>,<function> is needed'),
        (",init,secret", 'no module in ",init...": <module>,<function> is needed'),
        ('{"secret":1}', 'no function in "{...": <module>,<function> is needed'),
        (",init", 'no module in ",init": <module>,<function> is needed'),
        ("?,init", 'no module in "?,init": <module>,<function> is needed'),
        ("folder/,init", 'no module in "folder/,init": <module>,<function> is needed'),
        (".app,init", 'no module in ".app,init": <module>,<function> is needed'),
        ("nothing,init", "ModuleNotFoundError: No module named 'nothing'"),
        ("app.nothing,init", "No module named 'app.nothing'; 'app' is not a package"),
        ("app,nothing", "app has no nothing"),
        ("app,number", "handler must be a function, a class or an object with methods, not int"),
    ],
)
def test_configuration_without_an_entry_is_a_failed_load(python, cfg, error):
    python.write("app.py", "number = 5")
    loaded, why = python.load(cfg)
    assert not loaded
    assert why.endswith(error)


@pytest.mark.parametrize("name", ["handle", "handle_async", "KV", "make", "kv"])
def test_handler_may_be_loaded_without_serve(python, name):
    python.write(
        "app.py",
        """
        def handle(request): return request
        async def handle_async(request): return request
        class KV:
            def call(self, request): return request
        def make(cfg): return KV()
        kv = KV()
        """,
    )
    assert python.answer(f"app,{name}", "hello") == "hello"


def test_module_with_a_syntax_error_is_a_failed_load(python):
    python.write("app.py", "def init(cfg, tq):\n    return (")
    loaded, why = python.load("app,init")
    assert not loaded
    assert why.startswith("SyntaxError: ")
    assert why.endswith("(app.py, line 2)")


def test_traceback_of_a_failed_load_is_in_the_log(python):
    python.write("app.py", "import helper")
    python.write("helper.py", "raise ValueError('no luck')")
    python.load("app,init")
    name = 'runtime "ffi_python3 app,init": '
    python.nginx.log.wait(f"{name}Traceback")
    python.nginx.log.wait(f"{name} *import helper")
    python.nginx.log.wait(f"{name}ValueError: no luck")
    assert not python.nginx.log.find("importlib|_imports.py")


def test_failed_load_leaves_no_module_behind(python):
    python.write("app.py", "import helper\nraise ValueError")
    python.write("helper.py")
    python.write_app(
        "probe.py",
        """
        import sys
        def handle(request): return ",".join(name for name in sys.modules if "@" in name)
        """,
    )
    python.load("app,init")
    assert python.answer("probe,init").startswith("probe@")


def test_load_is_tried_again(python):
    python.write("app.py", "raise ValueError('not yet')")
    assert python.load("app?,init") == [False, "ValueError: not yet"]
    python.write_app("app.py", "def handle(request): return 'now'")
    assert python.call("app?,init") == [True, "now"]


def test_slow_load_does_not_hold_up_the_event_loop(python):
    python.write_app(
        "slow.py",
        """
        import socket
        with socket.socket(socket.AF_UNIX) as gate:
            gate.connect("gate")
            gate.sendall(b"slow\\n")
            gate.recv(1)
        def handle(request): return "slow"
        """,
    )
    nginx = python.nginx
    slow = nginx.begin("/call?library=ffi_python3&cfg=slow,init&request=")
    held = nginx.gate.wait()
    assert nginx.get("/kept/nothing").status_code == 404
    assert not slow.done()
    held.open("!")
    assert slow.result() == [True, "slow"]


# ---- the interpreter

WHERE = """
    import sys
    def handle(request): return "\\n".join(map(str, eval(request)))
"""


def test_environment_is_the_one_that_the_package_is_installed_in(python):
    python.write_app("app.py", WHERE)
    executable, prefix = python.answer("app,init", "sys.executable, sys.prefix").split("\n")
    assert Path(prefix) == Path(sys.prefix)
    assert executable == f"{sys.prefix}/bin/python"


def test_environment_can_be_chosen(python, tmp_path):
    bin_folder = tmp_path / "chosen" / "bin"
    bin_folder.mkdir(parents=True)
    home = Path(sys.base_prefix) / "bin"
    (bin_folder / "python").symlink_to(Path(sys.executable).resolve())
    python.write("chosen/pyvenv.cfg", f"home = {home}\n")
    python.write_app("app.py", WHERE)
    python.start(env={"RESTY_FFI_PYTHON": str(bin_folder / "python")})
    assert python.answer("app,init", "[sys.prefix]") == str(tmp_path / "chosen")


@pytest.mark.parametrize("path", ["/nonexistent/python", "python3", "/etc/passwd"])
def test_environment_that_does_not_exist_is_a_failed_load(python, path):
    python.start(env={"RESTY_FFI_PYTHON": path})
    why = "RESTY_FFI_PYTHON is not the absolute path of a program that may be run: "
    for _ in range(2):
        assert python.load("app,init") == [False, why + path]


def test_python_path_comes_first(python):
    python.write_app("app.py", WHERE)
    assert python.answer("app,init", "sys.path[:1]") == str(python.folder)


def test_text_is_utf8_whatever_the_locale(python):
    python.write_app("app.py", WHERE)
    python.start(env={"LC_ALL": "C"})
    encodings = "sys.getfilesystemencoding(), sys.stdout.encoding, open('nginx.conf').encoding"
    assert {name.lower() for name in python.answer("app,init", encodings).split()} == {"utf-8"}


def test_user_code_runs_on_other_threads_than_the_interpreters(python):
    python.write_app(
        "app.py",
        """
        import signal
        import threading
        def handle(request):
            assert threading.current_thread() is not threading.main_thread()
            assert threading.main_thread().is_alive()
            return str(signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, []))
        """,
    )
    assert python.call("app,init") == [True, "True"]


def test_extension_modules_find_libpython(python):
    python.write_app(
        "app.py",
        """
        import _ctypes
        import _decimal
        import _sqlite3
        def handle(request): return "here"
        """,
    )
    assert python.call("app,init") == [True, "here"]
