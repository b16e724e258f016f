"""Each way to import a module."""

import importlib
import importlib.util
import pkgutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import features.space.part
import features.sub
import features.sub as alias
from features import check, sub

from . import sub as relative
from .sub import *  # noqa: F403

slow_imports = []
slow_import_began = threading.Event()
slow_import_may_end = threading.Event()


def every_form_means_the_same_module():
    assert features.sub is sub is alias is relative
    assert NAME == "sub"  # noqa: F405


def name_is_the_key_in_sys_modules():
    assert sys.modules[__name__].sub is sub
    assert sys.modules[sub.__name__] is sub
    assert sub.__name__ == sub.__spec__.name == f"{__package__}.sub"


def other_runtimes_do_not_see_it():
    assert "features" not in sys.modules
    assert "features.sub" not in sys.modules


def namespace_package():
    assert features.space.part.NAME == "part"
    assert len(list(features.space.__path__)) == 1


def circular_import():
    from features import circle

    assert circle.AFTER == circle.ring.SEEN == "before"


def import_in_a_function():
    import features.lazy

    assert features.lazy.NAME == "lazy"


def import_in_another_thread():
    def import_it():
        from features import sub as found

        return found

    with ThreadPoolExecutor() as pool:
        assert pool.submit(import_it).result() is sub


def module_runs_once_when_many_threads_import_it():
    def import_it():
        from features import slow

        return slow.NAME

    with ThreadPoolExecutor(8) as pool:
        names = [pool.submit(import_it) for _ in range(8)]
        slow_import_began.wait()
        slow_import_may_end.set()
        assert {name.result() for name in names} == {"slow"}
    assert len(slow_imports) == 1


def import_in_code_that_is_executed():
    found = {}
    exec("import features.sub as found", found)
    assert found["found"] is sub


def import_of_a_missing_module():
    def import_it():
        import features.missing  # noqa: F401

    error = check.raised(ModuleNotFoundError, import_it)
    assert error.name == "features.missing"
    assert str(error) == "No module named 'features.missing'"


def import_function():
    assert __import__("features.sub") is features
    assert __import__("features.sub", fromlist=["NAME"]) is sub


def import_module():
    assert importlib.import_module("features.sub") is sub
    assert importlib.import_module(sub.__name__) is sub
    assert importlib.import_module(".sub", __package__) is sub
    assert importlib.import_module(".sub", "features") is sub


def import_module_from_shared_code_in_a_thread():
    with ThreadPoolExecutor() as pool:
        assert pool.submit(importlib.import_module, "features.sub").result() is sub


def find_spec():
    assert importlib.util.find_spec("features.sub") is sub.__spec__
    assert importlib.util.find_spec("features").submodule_search_locations
    assert importlib.util.find_spec("features.missing") is None
    assert importlib.util.find_spec("missing") is None


def walk_packages():
    prefix = features.__name__ + "."
    found = [module.name for module in pkgutil.walk_packages(features.__path__, prefix)]
    assert sub.__name__ in found
    assert importlib.import_module(found[found.index(sub.__name__)]) is sub


def reload():
    sub.NAME = "changed"
    assert importlib.reload(sub) is sub
    assert sub.NAME == "sub"


def package_data():
    assert pkgutil.get_data("features", "data.txt") == b"data"
    assert pkgutil.get_data(__package__, "data.txt") == b"data"


def resources():
    from importlib import resources

    if sys.version_info >= (3, 9):
        for package in "features", features, __package__:
            assert resources.files(package).joinpath("data.txt").read_text() == "data"
    else:
        for package in "features", features, __package__:
            assert resources.read_text(package, "data.txt") == "data"


init = check.entry(globals())
