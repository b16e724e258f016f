"""Private modules: each runtime has its own, and they work as any module does."""

import _bisect
import ast
import shutil

import pytest
from harness.config import TESTS

FEATURES = TESTS / "apps" / "python" / "features"


def functions(module):
    """The functions of a module that is not imported here."""
    tree = ast.parse((FEATURES / f"{module}.py").read_text())
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


@pytest.fixture
def check(python):
    """Calls a function of t/apps/python/features, in two runtimes."""
    python.folder = FEATURES.parent

    def check(module, function):
        for runtime in "ab":
            assert python.call(f"features.{module}?,init,{runtime}", function) == [True, "well"]

    return check


@pytest.mark.parametrize("form", functions("imports"))
def test_import(check, form):
    check("imports", form)


@pytest.mark.parametrize("feature", functions("language"))
def test_language(check, feature):
    check("language", feature)


@pytest.mark.parametrize("use", functions("packages"))
def test_installed_package(check, use):
    check("packages", use)


# ---- whose a module is


def test_each_runtime_has_its_own_copy(python):
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
    assert [python.answer("app,init,a") for _ in range(3)] == ["1", "2", "3"]
    assert python.answer("app,init,b") == "1"


def test_each_library_name_has_its_own_copy(python):
    python.write_app(
        "app.py", "calls = []\ndef handle(request): calls.append(1); return str(calls)"
    )
    assert python.answer("app,init") == "[1]"
    python.library = "resty_ffi_python"
    assert python.answer("app,init") == "[1]"


def test_standard_library_and_installed_packages_are_shared(python):
    python.write_app(
        "app.py",
        """
        import json, jinja2.nodes, logging.handlers
        def handle(request): return repr([id(json), id(jinja2.nodes), id(logging.handlers)])
        """,
    )
    assert python.answer("app,init,a") == python.answer("app,init,b")


def test_installed_package_is_private_where_the_entry_is_in_it(python):
    python.write("site-packages/mine/__init__.py")
    python.write("site-packages/mine/helper.py")
    python.write("site-packages/other.py")
    python.write_app(
        "site-packages/mine/app.py",
        """
        import sys
        import mine.helper, other
        def handle(request): return repr([name in sys.modules for name in ("mine", "other")])
        """,
    )
    python.start(env={"PYTHONPATH": f"{python.folder}/site-packages"})
    assert python.answer("mine.app,init") == "[False, True]"


def test_namespace_package_may_be_partly_installed(python):
    python.write("acme/own.py")
    python.write("site-packages/acme/more.py")
    python.write("site-packages/acme/shared.py", "from . import more")
    python.write_app(
        "acme/app.py",
        """
        import sys
        import acme.own, acme.shared
        def handle(request):
            assert acme.shared is sys.modules["acme.shared"]
            assert acme.shared.__spec__.name == "acme.shared"
            return repr("acme.own" in sys.modules)
        """,
    )
    python.start(env={"PYTHONPATH": f"{python.folder}:{python.folder}/site-packages"})
    assert python.answer("acme.app,init") == "False"


@pytest.mark.skipif(not hasattr(_bisect, "__file__"), reason="this Python has it built in")
def test_extension_module_of_the_application_is_shared(python):
    python.write_app(
        "package/app.py",
        """
        import package._bisect
        from . import _bisect
        def handle(request):
            return repr([_bisect is package._bisect, _bisect.__file__, id(_bisect)])
        """,
    )
    copy = shutil.copy(_bisect.__file__, python.folder / "package")
    first = python.answer("package.app,init,a")
    assert first.startswith(f"[True, '{copy}'")
    assert python.answer("package.app,init,b") == first


def test_names_that_are_added_to_builtins_are_seen(python):
    python.write_app(
        "app.py",
        """
        import gettext
        gettext.install("app")
        def handle(request): return _("translated")
        """,
    )
    assert python.answer("app,init") == "translated"


def test_configuring_logging_leaves_other_runtimes_alone(python):
    python.write_app(
        "app.py",
        """
        import logging, logging.config
        log = logging.getLogger(__name__)
        def handle(request):
            if request == b"configure":
                logging.config.dictConfig({"version": 1, "loggers": {}})
            return repr(log.disabled)
        """,
    )
    assert python.answer("app,init,a") == "False"
    assert python.answer("app,init,b", "configure") == "True"
    assert python.answer("app,init,a") == "False"


def test_resty_ffi_itself_is_shared(python):
    python.write_app(
        "app.py",
        """
        import sys
        import resty_ffi
        def handle(request): return repr(sys.modules["resty_ffi"] is resty_ffi)
        """,
    )
    assert python.answer("app,init") == "True"
