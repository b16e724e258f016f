"""Classes written for lua-resty-ffi, which reach nginx's functions by themselves."""

import subprocess

import pytest
from harness.config import TESTS
from harness.java import compile_into
from harness.once import once

FIELD = TESTS / "apps" / "java_field"


@pytest.fixture(scope="session")
def field_classes(java_apps):
    """The class path of the app: it, and jnr-ffi of Maven Central."""
    folder = java_apps.parent / "java_field"
    once(folder, "app", lambda: build(folder))
    return f"{folder}/classes:{folder}/jars/*"


def build(folder):
    copying = ["mvn", "-q", "-B", "-f", str(FIELD), "dependency:copy-dependencies"]
    subprocess.run([*copying, f"-DoutputDirectory={folder}/jars"], check=True)
    compile_into(folder / "classes", [FIELD / "App.java"], f"{folder}/jars/*")


@pytest.mark.parametrize("mark", ["", "?"])
def test_class_that_polls_by_itself_runs(java, field_classes, mark):
    java.start(env={"CLASSPATH": field_classes})
    cfg = f'demo.http2.App{mark},init,{{"a":1,"b":[2]}}'
    assert java.call(cfg, "hello") == [True, '{"a":1,"b":[2]}:hello']
    assert java.call(cfg, "") == [False, 3, '{"a":1,"b":[2]}:']
    java.unload(cfg)
    java.nginx.log.wait("the end of the queue")


def test_as_the_field_writes_it(java, field_classes):
    nginx = java.start(
        env={"CLASSPATH": field_classes},
        lua={
            "/field": """
                require("resty_ffi")
                local demo = ngx.load_ffi("ffi_java", "demo.http2.App?,init,", {is_global = true})
                return demo:foo("bar")
            """
        },
    )
    assert nginx.values("/field") == [True, ":bar"]


def test_several_runtimes_each_with_a_native_library_of_its_own(java, field_classes):
    java.start(env={"CLASSPATH": field_classes})
    for _ in range(3):
        assert java.answer("demo.http2.App?,init,a", "x") == "a:x"
        assert java.answer("demo.http2.App?,init,b", "x") == "b:x"
        java.unload("demo.http2.App?,init,a")
