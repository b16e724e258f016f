"""What a Node.js configuration means, and how its load fails."""

import json

import pytest
from harness.wait import wait_for

SHOW_CFG = """
    const { serve } = require('resty_ffi');
    exports.init = (cfg, tq) => serve(() => JSON.stringify([typeof tq, cfg]))(cfg, tq);
"""

FUNCTION_NEEDED = "<module>,<function> is needed"


# ---- the configuration


@pytest.mark.parametrize("question", ["", "?"])
@pytest.mark.parametrize(
    ("tail", "text"),
    [
        ("", None),
        (",", ""),
        (",text", "text"),
        (",a,b,,c?", "a,b,,c?"),
        (',{"a": [1, 2], "b": "ü\n"}', '{"a": [1, 2], "b": "ü\n"}'),
        ("," + "x" * 100000, "x" * 100000),
    ],
    ids=["none", "empty", "text", "commas", "json", "100 kB"],
)
def test_function_gets_what_follows_the_second_comma(nodejs, question, tail, text):
    nodejs.write("app.js", SHOW_CFG)
    nginx = nodejs.start(
        lua={
            "/long": """
                ngx.req.read_body()
                return ngx.load_ffi("ffi_nodejs", ngx.req.get_body_data()):call()
            """
        },
        server="client_body_buffer_size 1m;",
    )
    ok, shown = nginx.post("/long", f"app{question},init{tail}".encode()).json()
    assert ok
    # What is undefined is null in an array.
    # Values are latin-1.
    assert json.loads(shown.encode("latin-1")) == ["bigint", text]


@pytest.mark.parametrize(
    ("file", "module"),
    [
        ("app.js", "app"),
        ("app.js", "app.js"),
        ("app.cjs", "app"),
        ("app.cjs", "app.cjs"),
        ("app/index.js", "app"),
        ("demo/http2.js", "demo/http2"),
        ("demo/deeper/app.cjs", "demo/deeper/app"),
        ("@scope/app/index.js", "@scope/app"),
    ],
)
def test_module_is_found_in_node_path(nodejs, file, module):
    nodejs.write_app(file, "const handle = (request) => request;")
    assert nodejs.call(f"{module}?,init", "hello") == [True, "hello"]


@pytest.mark.parametrize("extension", ["", ".js"])
def test_module_may_have_an_absolute_path(nodejs, tmp_path, extension):
    nodejs.write("srv/app/neighbour.js", "module.exports = 'neighbour';")
    nodejs.write_app(
        "srv/app/index.js",
        "const name = require('./neighbour'); const handle = () => name;",
    )
    nodejs.start(env={"NODE_PATH": ""})
    assert nodejs.answer(f"{tmp_path}/srv/app/index{extension},init") == "neighbour"


def test_relative_folder_is_in_the_working_folder(nodejs):
    nginx = nodejs.start()
    (nginx.folder / "apps").mkdir()
    source = nodejs.write_app("app.js", "const handle = (request) => request;")
    source.rename(nginx.folder / "apps" / "app.js")
    assert nodejs.call("apps/app,init", "hello") == [True, "hello"]


def test_packages_of_the_project_are_found(nodejs, tmp_path):
    nodejs.write("srv/node_modules/dep/package.json", '{"main": "lib/main.js"}')
    nodejs.write("srv/node_modules/dep/lib/main.js", "exports.name = 'dep';")
    nodejs.write_app("srv/app.js", "const handle = () => require('dep').name;")
    assert nodejs.answer(f"{tmp_path}/srv/app,init") == "dep"


def test_installed_package_is_a_module(nodejs):
    nginx = nodejs.start()
    nodejs.write("pkg/package.json", '{"exports": {"./app": "./lib/app.js"}}')
    nodejs.write_app("pkg/lib/app.js", "const handle = () => 'exported';")
    (nginx.folder / "node_modules").mkdir()
    (nodejs.folder / "pkg").rename(nginx.folder / "node_modules" / "pkg")
    assert nodejs.answer("pkg/app,init") == "exported"


# ---- ES modules


ESM = """
    import { readFile } from 'fs/promises';
    import ffi, { serve } from 'resty_ffi';
    import { name } from './neighbour.js';
    const waited = await Promise.resolve('awaited');
    export const init = serve(() => `${name} ${waited} ${ffi.serve === serve} ${typeof readFile}`);
"""


@pytest.mark.parametrize("is_installed", [False, True])
@pytest.mark.parametrize("file", ["app.mjs", "app.js"])
def test_es_module(nodejs, tmp_path, file, is_installed):
    nodejs.write("esm/package.json", '{"type": "module"}')
    nodejs.write("esm/neighbour.js", "export const name = 'neighbour';")
    nodejs.write(f"esm/{file}", ESM)
    if is_installed:
        (tmp_path / "esm/node_modules").mkdir()
        (tmp_path / "esm/node_modules/resty_ffi").symlink_to(_package())
    assert nodejs.answer(f"{tmp_path}/esm/app,init") == "neighbour awaited true function"


def _package():
    from harness import target

    return target.find().libdir / "node_modules" / "resty_ffi"


def test_default_export_may_be_named(nodejs):
    nodejs.write(
        "app.mjs", "import { serve } from 'resty_ffi'; export default serve(() => 'default');"
    )
    assert nodejs.answer("app,default") == "default"


def test_import_works_in_any_module(nodejs):
    nodejs.write("lazy.mjs", "export const name = 'lazy';")
    nodejs.write_app("app.js", "const handle = async () => (await import('./lazy.mjs')).name;")
    assert nodejs.answer("app,init") == "lazy"


# ---- the entry function


@pytest.mark.parametrize("result", ["undefined", "null", "0", "false", "Promise.resolve(0)"])
def test_function_that_returns_nothing_has_succeeded(nodejs, result):
    nodejs.write("app.js", f"exports.init = () => {result};")
    assert nodejs.load("app,init") == [True]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("return 1", "app.init returned 1"),
        ("return 'no'", "app.init returned 'no'"),
        ("throw new RangeError('no such thing')", "RangeError: no such thing"),
        ("throw 'text'", "thrown: 'text'"),
        ("return Promise.reject(new Error('later'))", "Error: later"),
        ("require('nothing')", "Error: Cannot find module 'nothing'"),
        ("process.exit(3)", "process.exit(3) was called"),
        ("setImmediate(() => { throw new Error('late') }); return new Promise(() => {})", "late"),
        ("return serve(null)(cfg, tq)", "handler must be a function, a class or an object"),
        ("return serve({})(cfg, tq)", "handler must be a function, a class or an object"),
        ("return serve(String, {threads: 2})(cfg, tq)", "no option 'threads'"),
        ("return serve(String)(cfg, tq + 1n)", "is not the task queue of this runtime"),
        (
            "serve(String)(cfg, tq); return serve(String)(cfg, tq)",
            "a runtime is served by one handler",
        ),
    ],
)
def test_function_that_fails_is_a_failed_load(nodejs, body, error):
    nodejs.write(
        "app.js",
        f"const {{ serve }} = require('resty_ffi');\nexports.init = (cfg, tq) => {{ {body} }};",
    )
    loaded, why = nodejs.load("app,init")
    assert not loaded
    assert error in why
    assert "\n" not in why


@pytest.mark.parametrize(
    ("cfg", "error"),
    [
        (None, f"no configuration: {FUNCTION_NEEDED}"),
        ("", f'no module in "": {FUNCTION_NEEDED}'),
        ("app", f'no function in "app": {FUNCTION_NEEDED}'),
        ("app,", f'no function in "app,": {FUNCTION_NEEDED}'),
        ("app,,text", f'no function in "app,...": {FUNCTION_NEEDED}'),
        (",init,secret", f'no module in ",init...": {FUNCTION_NEEDED}'),
        ('{"secret":1}', f'no function in "{{...": {FUNCTION_NEEDED}'),
        (",init", f'no module in ",init": {FUNCTION_NEEDED}'),
        ("?,init", f'no module in "?,init": {FUNCTION_NEEDED}'),
        ("folder/,init", f'no module in "folder/,init": {FUNCTION_NEEDED}'),
        ("nothing,init", "Error: Cannot find module 'nothing'"),
        ("/no/folder/app,init", "Error: Cannot find module '/no/folder/app'"),
        ("http2,init", "Error: 'http2' is Node.js's own module: give a path to yours"),
        ("app,nothing", "app exports no function 'nothing'"),
        ("app,number", "app exports no function 'number'"),
    ],
)
def test_configuration_without_an_entry_is_a_failed_load(nodejs, cfg, error):
    nodejs.write("app.js", "exports.number = 5;")
    loaded, why = nodejs.load(cfg)
    assert not loaded
    assert why.endswith(error)


def test_configuration_that_is_no_utf8_is_a_failed_load(nodejs):
    nodejs.write_app("app.js", "const handle = () => 'x';")
    nodejs.start(lua={"/bytes": 'return ngx.load_ffi("ffi_nodejs", "app,init,\\255")'})
    loaded, why = nodejs.nginx.values("/bytes")
    assert loaded is None
    assert why == "TypeError: the configuration is no UTF-8: bytes need an encoding, base64 say"


@pytest.mark.parametrize("file", ["app.js", "app.mjs"])
def test_module_with_a_syntax_error_is_a_failed_load(nodejs, file):
    nodejs.write(file, "const fine = 1;\nconst = ;")
    loaded, why = nodejs.load("app,init")
    assert not loaded
    assert why.startswith("SyntaxError: ")
    assert why.endswith(f"({file}, line 2)")


def test_stack_of_a_failed_load_is_in_the_log(nodejs):
    nodejs.write("app.js", "require('./helper');")
    nodejs.write("helper.js", "throw new Error('no luck');")
    nodejs.load("app,init")
    name = 'runtime "ffi_nodejs app,init": '
    nodejs.nginx.log.wait(f"{name}Error: no luck")
    nodejs.nginx.log.wait(f"{name} *at .*/helper.js:1:7")
    assert not nodejs.nginx.log.find("node_modules/resty_ffi")


def test_load_is_tried_again(nodejs):
    nodejs.write("app.js", "throw new Error('not yet');")
    assert nodejs.load("app,init") == [False, "Error: not yet"]
    nodejs.write_app("app.js", "const handle = () => 'now';")
    assert nodejs.call("app,init") == [True, "now"]


def test_failed_loads_leave_nothing_behind(nodejs):
    nodejs.write("app.js", "setInterval(() => {}, 1000); throw new Error('no');")
    nodejs.write_app("fine.js", "const handle = () => 'fine';")
    assert nodejs.answer("fine,init") == "fine"
    nodejs.load("app,init")
    before = nodejs.nginx.usage()
    for _ in range(10):
        nodejs.load("app,init")
    wait_for(lambda: nodejs.nginx.usage().threads <= before.threads)
    wait_for(lambda: nodejs.nginx.usage().files <= before.files)


@pytest.mark.parametrize("library", ["ffi_nodejs", "ffi_nodejs?", "resty_ffi_nodejs"])
def test_loader_has_these_names(nodejs, library):
    nodejs.write_app("app.js", "const handle = () => 'loaded';")
    nodejs.library = library
    assert nodejs.answer("app?,init") == "loaded"


def test_unpin_is_taken_and_said_to_have_no_effect(nodejs):
    nodejs.write_app("app.js", "const handle = () => 'served';")
    nginx = nodejs.start(
        lua={
            "/unpinned": """
                local rt = ngx.load_ffi("ffi_nodejs", "app,init", {unpin = true})
                local _, answer = rt:call()
                return rt:__unload(10), answer
            """
        }
    )
    for _ in range(3):
        assert nginx.values("/unpinned") == [True, "served"]
    nginx.log.wait("Node.js stays in this worker: unpin has no effect on it")
    assert len(nginx.log.find("unpin has no effect")) == 1


def test_is_global_is_taken(nodejs):
    nodejs.write_app("demo/http2.js", "const handle = () => 'global';")
    nginx = nodejs.start(
        lua={
            "/global": """
                local opts = {is_global = true}
                return assert(ngx.load_ffi("ffi_nodejs", "demo/http2?,init", opts)):call()
            """
        }
    )
    assert nginx.values("/global") == [True, "global"]
