"""Hot reload: every load of a Node.js module reads its files."""

import os

import pytest


@pytest.fixture
def package(nodejs):
    nodejs.write("pkg/package.json", '{"main": "index.js"}')
    nodejs.write_app("pkg/index.js", "const handle = () => require('./lib/a')();")
    nodejs.write("pkg/lib/a.js", "const b = require('./b.json'); module.exports = () => b.value;")
    nodejs.write("pkg/lib/b.json", '{"value": "old"}')
    return nodejs


@pytest.mark.parametrize("question", ["", "?"])
def test_whole_tree_is_read_again(package, question):
    name = f"pkg{question},init"
    assert package.answer(name) == "old"
    package.write("pkg/lib/b.json", '{"value": "new"}')
    assert package.answer(name) == "old"
    assert package.answer(f"{name},another") == "new"
    package.unload(name)
    assert package.answer(name) == "new"


def test_edit_within_the_same_second_is_seen(package):
    for value in ("one", "two", "six"):
        path = package.write("pkg/lib/b.json", f'{{"value": "{value}"}}')
        os.utime(path, (1000000000, 1000000000))
        assert package.answer(f"pkg?,init,{value}") == value


def test_es_module_is_read_again(nodejs):
    source = "import {{ serve }} from 'resty_ffi'; export const init = serve(() => '{}');"
    nodejs.write("app.mjs", source.format("old"))
    assert nodejs.answer("app,init") == "old"
    nodejs.write("app.mjs", source.format("new"))
    nodejs.unload("app,init")
    assert nodejs.answer("app,init") == "new"


def test_file_may_be_replaced_by_rename(package, tmp_path):
    assert package.answer("pkg,init") == "old"
    new = tmp_path / "new"
    new.write_text('{"value": "renamed"}')
    new.rename(tmp_path / "pkg/lib/b.json")
    assert package.answer("pkg,init,2") == "renamed"


def test_folder_may_be_replaced(package, tmp_path):
    (tmp_path / "pkg").rename(tmp_path / "v1")
    (tmp_path / "pkg").symlink_to("v1")
    assert package.answer("pkg,init") == "old"
    package.write_app("v2/index.js", "const handle = () => 'new';")
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").rename(tmp_path / "pkg")
    assert package.answer("pkg,init,2") == "new"
    assert package.answer("pkg,init") == "old"


@pytest.mark.parametrize("broken", ["const = ;", "throw new Error('no')", "require('./gone')"])
def test_code_that_does_not_load_leaves_live_runtimes_alone(package, broken):
    assert package.answer("pkg,init") == "old"
    package.write("pkg/lib/a.js", broken)
    assert package.answer("pkg,init") == "old"
    package.write("pkg/index.js", broken)
    assert package.load("pkg?,init,2")[0] is False
    assert package.answer("pkg,init") == "old"


def test_runtimes_share_nothing(nodejs):
    nodejs.write("dep.js", "exports.n = 0;")
    nodejs.write_app(
        "app.js",
        """
        const dep = require('./dep');
        const handle = () => { globalThis.n = (globalThis.n ?? 0) + 1;
          return `${++dep.n} ${globalThis.n}`; };
        """,
    )
    assert [nodejs.answer("app,init,1") for _ in range(2)] == ["1 1", "2 2"]
    assert nodejs.answer("app,init,2") == "1 1"
