"""What one runtime, or one process, must not do to the others."""

from __future__ import annotations

import pytest

POOL = """
    from concurrent.futures import ThreadPoolExecutor
    def handle(request):
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: "done").result()
"""


def test_environment_below_the_folder_is_shared(python, tmp_path):
    packages = ".venv/lib/python3/site-packages"
    python.write(f"{packages}/installed.py")
    python.write_app(
        "app.py",
        f"""
        import sys
        sys.path.append({str(tmp_path / packages)!r})
        import installed, json
        def handle(request): return f"{{installed.__name__}} {{json.__name__}}"
        """,
    )
    assert python.answer(f"{tmp_path}/app,init") == "installed json"


def test_packages_installed_into_a_folder_of_the_path_are_shared(python):
    python.write("dependency.py")
    python.write("dependency-1.0.dist-info/METADATA")
    python.write_app(
        "elsewhere/app.py", "import dependency\ndef handle(request): return dependency.__name__"
    )
    assert python.answer(f"{python.folder}/elsewhere/app,init") == "dependency"


def test_standard_library_is_never_private(python):
    python.write_app("app.py", POOL)
    assert python.load("threading,init")[0] is False
    assert python.answer("app,init") == "done"


def test_module_that_shadows_the_standard_library_stays_with_its_runtime(python):
    python.write_app("shadowing/app.py", "import queue\n" + POOL.replace("\n    ", "\n"))
    python.write("shadowing/queue.py", "NAME = 'not a queue'")
    python.write_app("other.py", POOL)
    assert python.answer(f"{python.folder}/shadowing/app,init") == "done"
    assert python.answer("other,init") == "done"


def test_loader_starts_once_whatever_its_name(python):
    python.write_app("app.py", "import sys\ndef handle(request): return sys.executable")
    nginx = python.start()
    names = ["ffi_python3", "ffi_python3?", "resty_ffi_python", "resty_ffi_python?"]
    calls = []
    for name in names:
        python.library = name
        calls.append(nginx.begin(python.path("call", "app,init", "")))
    answers = [call.result() for call in calls]
    assert answers == [answers[0]] * len(names)
    assert answers[0][0] is True


def test_forked_child_ends_on_term(python):
    python.write_app(
        "app.py",
        """
        import multiprocessing, time
        def handle(request):
            child = multiprocessing.get_context("fork").Process(target=time.sleep, args=[60])
            child.start()
            child.terminate()
            child.join(10)
            return str(child.exitcode)
        """,
    )
    assert python.answer("app,init") == "-15"


def test_unloaded_runtimes_are_not_kept_by_generic_types(python):
    python.write_app(
        "app.py",
        """
        import typing
        class Item: pass
        Items = typing.List[Item]
        def handle(request): return request
        """,
    )
    python.write_app(
        "probe.py",
        """
        from resty_ffi import _modules
        def handle(request): return str(len(_modules._owners))
        """,
    )
    before = python.answer("probe,init")
    for _ in range(5):
        python.answer("app?,init")
        python.unload("app?,init")
    assert python.answer("probe,init") == before


@pytest.mark.parametrize("name", ["client@2", "room@²", "@1"])
def test_loggers_may_have_names_like_those_of_private_modules(python, name):
    python.write_app(
        "app.py",
        f"""
        import logging
        logging.getLogger({name!r}).setLevel(10)
        def handle(request): return str(logging.getLogger({name!r}).level)
        """,
    )
    python.write_app("other.py", "def handle(request): return request")
    python.answer("app,init")
    python.answer("other,init")
    python.unload("other,init")
    assert python.answer("app,init") == "10"


def test_logger_of_a_module_can_be_configured_before_it_is_imported(python):
    python.write("helper.py", "import logging\nlog = logging.getLogger(__name__)")
    python.write_app(
        "app.py",
        """
        import logging
        logging.getLogger("helper").setLevel(10)
        import helper
        def handle(request): return str(helper.log.level)
        """,
    )
    assert python.answer("app,init") == "10"
