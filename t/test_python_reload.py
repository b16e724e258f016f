"""Which code a runtime runs: read again for "?", cached else."""

import os

import pytest


def write_version(python, version):
    """A package whose every file has the same size and time in each version."""
    python.write_app(
        "package/app.py",
        f"""
        import helper, package, package.sub
        from package.sub import VERSION
        HERE = {version}
        def handle(request):
            import package.lazy
            versions = HERE, VERSION, package.sub.VERSION, package.VERSION, helper.VERSION
            return repr({{*versions, package.lazy.VERSION}})
        """,
    )
    for name in ["package/__init__.py", "package/sub.py", "package/lazy.py", "helper.py"]:
        python.write(name, f"VERSION = {version}\n")
    for path in python.folder.rglob("*.py"):
        os.utime(path, (1e9, 1e9))


def test_question_mark_reads_every_file_again(python):
    write_version(python, 1)
    assert python.answer("package.app?,init,first") == "{1}"
    write_version(python, 2)
    assert python.answer("package.app?,init,second") == "{2}"


def test_code_is_cached_without_a_question_mark(python):
    write_version(python, 1)
    assert python.answer("package.app,init,first") == "{1}"
    python.unload("package.app,init,first")
    write_version(python, 2)
    assert python.answer("package.app,init,first") == "{1}"


def test_cache_has_what_was_read_last(python):
    write_version(python, 1)
    python.answer("package.app,init,first")
    write_version(python, 2)
    python.answer("package.app?,init,second")
    assert python.answer("package.app,init,third") == "{2}"


def test_reload_leaves_other_runtimes_alone(python):
    write_version(python, 1)
    python.answer("package.app?,init,first")
    write_version(python, 2)
    python.answer("package.app?,init,second")
    assert python.answer("package.app?,init,first") == "{1}"


def test_unload_and_load_again_is_a_reload(python):
    write_version(python, 1)
    python.answer("package.app?,init")
    write_version(python, 2)
    python.unload("package.app?,init")
    assert python.answer("package.app?,init") == "{2}"


def test_deleted_name_is_gone(python):
    app = "import helper\ndef handle(request): return str(hasattr(helper, 'NAME'))"
    python.write_app("app.py", app)
    python.write("helper.py", "NAME = 1")
    assert python.answer("app?,init,first") == "True"
    python.write("helper.py", "")
    assert python.answer("app?,init,second") == "False"


@pytest.mark.parametrize("broken", ["app.py", "helper.py"])
def test_half_written_file_keeps_the_running_code(python, broken):
    python.write_app("app.py", "import helper\ndef handle(request): return 'well'")
    python.write("helper.py")
    python.answer("app?,init,first")
    python.write(broken, "def half(:")
    loaded, why = python.load("app?,init,second")
    assert not loaded
    assert why.startswith("SyntaxError: invalid syntax")
    assert python.answer("app?,init,first") == "well"


def test_traceback_shows_the_lines_that_ran(python):
    python.write_app("app.py", "def handle(request): raise ValueError('old')")
    python.call("app?,init,first")
    path = python.write_app("app.py", "def handle(request): raise ValueError('new')")
    os.utime(path, (1e9, 1e9))
    python.call("app?,init,second")
    python.nginx.log.wait("raise ValueError.'new'")


def test_state_is_not_kept(python):
    python.write_app(
        "app.py",
        """
        import helper
        def handle(request):
            helper.calls.append(request)
            return str(len(helper.calls))
        """,
    )
    python.write("helper.py", "calls = []")
    assert [python.answer("app,init") for _ in range(2)] == ["1", "2"]
    python.unload("app,init")
    assert python.answer("app,init") == "1"


def test_old_threads_still_import_after_the_unload(python):
    python.write("package/__init__.py", "print('package runs')")
    python.write("package/state.py", "VALUE = []")
    python.write("package/late.py", "from . import state")
    python.write_app(
        "package/app.py",
        """
        import socket, threading
        from package import state
        def linger():
            with socket.socket(socket.AF_UNIX) as gate:
                gate.connect("gate")
                gate.sendall(b"linger\\n")
                gate.recv(1)
            from package import late
            print("imported", late.state is state)
        threading.Thread(target=linger).start()
        def handle(request): return request
        """,
    )
    python.call("package.app,init")
    held = python.nginx.gate.wait()
    python.unload("package.app,init")
    held.open("!")
    python.nginx.log.wait("imported True")
    assert len(python.nginx.log.find("package runs")) == 1


@pytest.mark.parametrize("cfg", ["app,init", "app?,init"])
def test_cycles_leave_nothing_behind_in_the_interpreter(python, cfg):
    python.write_app(
        "app.py",
        """
        import dataclasses, enum, logging, helper
        log = logging.getLogger(__name__)
        @dataclasses.dataclass
        class Data:
            number: int = 1
        class Kind(enum.Enum):
            ONE = 1
        def handle(request):
            import lazy
            return repr(Data())
        """,
    )
    python.write("helper.py")
    python.write("lazy.py")
    python.write_app(
        "probe.py",
        """
        import logging, sys, threading
        def handle(request):
            loggers = logging.root.manager.loggerDict
            counted = sys.modules, sys.path, sys.path_importer_cache, sys.meta_path, loggers
            return repr([*map(len, counted), threading.active_count()])
        """,
    )
    before = None
    for _ in range(20):
        python.answer(cfg)
        python.unload(cfg)
        before = before or python.answer("probe,init")
    assert python.answer("probe,init") == before
