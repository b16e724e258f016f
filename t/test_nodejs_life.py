"""Runtimes of Node.js that end, by themselves or not, and those beside them."""

import os

import pytest
from harness.wait import wait_for

DIES = {
    "process.exit": ("process.exit(3)", "process.exit(3) was called"),
    "uncaught": ("setImmediate(() => { throw new RangeError('lost') })", "RangeError: lost"),
    "rejection": ("Promise.reject(new RangeError('lost'))", "RangeError: lost"),
    "no error": ("Promise.reject(undefined)", "undefined"),
    "event": (
        "setImmediate(() => new (require('events'))().emit('error', new RangeError('lost')))",
        "RangeError: lost",
    ),
    "stream": (
        "require('fs').createReadStream('/nothing')",
        "Error: ENOENT: no such file or directory, open '/nothing'",
    ),
    "next tick": ("process.nextTick(() => { throw new RangeError('lost') })", "RangeError: lost"),
    "worker": (
        "new (require('worker_threads').Worker)('throw new RangeError(1)', { eval: true })",
        "RangeError: 1 (uncaughtException)",
    ),
    "in exit": ("process.on('exit', () => process.exit(4)); process.exit(3)", "process.exit("),
}

APP = """
    const handle = (request) => {
      if (String(request) === 'die') {
        %s;
        return new Promise(() => {});
      }
      return 'alive';
    };
"""


@pytest.mark.parametrize("how", DIES)
def test_death_fails_the_calls_of_its_runtime_only(nodejs, how):
    body, why = DIES[how]
    nodejs.write_app("app.js", APP % body)
    nodejs.write_app("other.js", "const handle = () => 'alive';")
    assert nodejs.answer("other,init") == "alive"
    ok, rc, message = nodejs.call("app,init", "die")
    assert (ok, rc) == (False, 1)
    assert why in message
    assert nodejs.answer("other,init") == "alive"
    # What is loaded under the same name is a new one, once nginx has seen it.
    wait_for(lambda: nodejs.call("app,init", timeout=5) == [True, "alive"])
    assert len(nodejs.nginx.log.find("the runtime ends: ")) == 1
    nodejs.nginx.expect_log('"ffi_nodejs app,init" died: all threads')


def test_death_answers_all_that_wait(nodejs):
    nodejs.write_app(
        "app.js",
        """
        let waiting = 0;
        const handle = () => {
          if (++waiting === 50) { process.exit(9); }
          return new Promise(() => {});
        };
        """,
    )
    nodejs.start(
        lua={
            "/many": """
                local rt = ngx.load_ffi("ffi_nodejs", "app,init")
                local threads, failed = {}, 0
                for i = 1, 60 do
                    threads[i] = ngx.thread.spawn(rt.call, rt, "")
                end
                for i = 1, 60 do
                    local _, ok, rc, why = ngx.thread.wait(threads[i])
                    local failing = not ok and rc == 1 and why:find("process.exit%(9%)")
                    failed = failed + (failing and 1 or 0)
                end
                return failed
            """
        }
    )
    assert nodejs.nginx.values("/many") == [60]


@pytest.mark.parametrize(
    "listener",
    [
        "process.on('uncaughtException', () => {})",
        "process.setUncaughtExceptionCaptureCallback(() => {})",
    ],
)
def test_code_may_catch_what_nothing_else_catches(nodejs, listener):
    nodejs.write_app(
        "app.js",
        f"""
        {listener};
        const handle = async () => {{
          setImmediate(() => {{ throw new Error('caught'); }});
          await new Promise((resolve) => setTimeout(resolve, 20));
          return 'alive';
        }};
        """,
    )
    assert nodejs.answer("app,init") == "alive"
    assert nodejs.answer("app,init") == "alive"


HOARDS = {
    "filled arrays": "new Array(1000).fill({})",
    "arrays": "new Array(1000)",
    "objects": "{ a: [{}] }",
    "strings": "'x'.repeat(1000) + hoard.length",
    "parsed": "JSON.parse(json)",
}


@pytest.mark.parametrize("what", HOARDS)
def test_end_of_memory_is_the_end_of_the_runtime(nodejs, what):
    nodejs.write_app(
        "app.js",
        f"""
        const json = JSON.stringify(new Array(1000).fill({{}}));
        const handle = () => {{
          const hoard = [];
          for (;;) {{ hoard.push({HOARDS[what]}); }}
        }};
        """,
    )
    nodejs.write_app("other.js", "const handle = () => 'alive';")
    nodejs.start(env={"NODE_OPTIONS": "--max-old-space-size=64"})
    assert nodejs.answer("other,init") == "alive"
    ok, rc, why = nodejs.call("app,init")
    assert (ok, rc) == (False, 1)
    assert "out of memory" in why
    assert nodejs.answer("other,init") == "alive"


@pytest.mark.parametrize("what", HOARDS)
def test_end_of_memory_of_a_thread_is_the_end_of_the_thread(nodejs, what):
    nodejs.write_app(
        "app.js",
        f"""
        const {{ Worker }} = require('worker_threads');
        const code = `
          const json = JSON.stringify(new Array(1000).fill({{}}));
          const hoard = [];
          for (;;) {{ hoard.push({HOARDS[what]}); }}`;
        const options = {{ eval: true, resourceLimits: {{ maxOldGenerationSizeMb: 64 }} }};
        const handle = () => new Promise((resolve) => {{
          new Worker(code, options).on('error', (error) => resolve(error.code));
        }});
        """,
    )
    assert nodejs.answer("app,init") == "ERR_WORKER_OUT_OF_MEMORY"


def test_endless_recursion_is_an_error(nodejs):
    nodejs.write_app("app.js", "const handle = (request) => [handle(request)];")
    ok, rc, why = nodejs.call("app,init")
    assert (ok, rc, why) == (False, 1, "RangeError: Maximum call stack size exceeded")
    assert nodejs.call("app,init")[1] == 1


BLOCKS = """
    const handle = (request) => {
      if (String(request) === 'block') { for (;;) {} }
      return 'served';
    };
"""


def test_runtime_that_blocks_holds_up_no_other(nodejs):
    nodejs.write_app("app.js", BLOCKS)
    nodejs.start(http="lua_ffi_shutdown_timeout 1s;")
    assert nodejs.answer("app,init,first") == "served"
    blocked = nodejs.nginx.begin(nodejs.path("call", "app,init,first", "block", timeout=2))
    for other in range(3):
        assert nodejs.answer(f"app,init,{other}") == "served"
        nodejs.unload(f"app,init,{other}")
    assert blocked.result() == [False, "timeout"]


def test_runtime_that_blocks_can_be_loaded_anew(nodejs):
    nodejs.write_app("app.js", BLOCKS)
    nginx = nodejs.start(
        http="lua_ffi_shutdown_timeout 1s;",
        lua={"/drop": 'return ngx.load_ffi("ffi_nodejs", "app,init"):__unload()'},
    )
    assert nodejs.call("app,init", "block", timeout=0.3) == [False, "timeout"]
    assert nginx.values("/drop") == [True]
    assert nodejs.answer("app,init") == "served"


BLOCKS_AT_END = {
    "close": "close() { for (;;) {} }",
    "exit": "close() { process.on('exit', () => { for (;;) {} }); }",
    # Of Node.js 24 it never looked whether it is to stop, once it was optimized.
    "arrays": "close() { for (;;) { new Array(1000).fill({}); } }",
}


@pytest.mark.parametrize("how", BLOCKS_AT_END)
def test_code_that_blocks_while_the_runtime_ends_is_stopped(nodejs, how):
    nodejs.write(
        "app.js",
        f"""
        const {{ serve }} = require('resty_ffi');
        exports.init = serve({{ call: () => 'x', {BLOCKS_AT_END[how]} }});
        """,
    )
    assert nodejs.answer("app,init") == "x"
    threads = nodejs.nginx.usage().threads
    nodejs.nginx.values(nodejs.path("unload", "app,init"))
    wait_for(lambda: nodejs.nginx.usage().threads < threads)
    nodejs.nginx.log.wait("its JavaScript did not end in 5 seconds: it is stopped")


def test_endless_close_is_stopped_by_the_unload(nodejs):
    nodejs.write(
        "app.js",
        """
        const { serve } = require('resty_ffi');
        exports.init = serve({ call: () => 'x', close: () => new Promise(() => {}) });
        """,
    )
    assert nodejs.answer("app,init") == "x"
    nodejs.unload("app,init")
    nodejs.nginx.log.wait("its JavaScript did not end in 5 seconds: it is stopped")


def test_worker_ends_in_time_although_a_handler_blocks(nodejs):
    nodejs.write_app("app.js", BLOCKS)
    nginx = nodejs.start(http="lua_ffi_shutdown_timeout 1s;")
    assert nodejs.answer("app,init") == "served"
    assert nodejs.call("app,init", "block", timeout=0.3) == [False, "timeout"]
    assert nginx.stop(deadline=8) == 0


NEVER_LOADED = {
    "await": ("js", "exports.init = () => new Promise(() => {});"),
    "top-level await": ("mjs", "await new Promise(() => {});"),
    "loop": ("js", "for (;;) {}"),
    "native": ("js", "require('fs').readFileSync(`${__dirname}/pipe`);"),
}


@pytest.mark.parametrize("how", NEVER_LOADED)
def test_load_that_never_ends_holds_up_no_later_one(nodejs, how):
    extension, source = NEVER_LOADED[how]
    nodejs.write(f"stuck.{extension}", source)
    os.mkfifo(nodejs.folder / "pipe")
    nodejs.write_app("app.js", "const handle = () => 'served';")
    nginx = nodejs.start(
        lua={"/stuck": 'return ngx.load_ffi("ffi_nodejs", "stuck,init", {load_timeout = 0.2})'}
    )
    loaded, why = nginx.values("/stuck")
    assert not loaded
    assert "load timed out" in why
    assert nodejs.answer("app,init") == "served"


def test_nothing_is_left_of_a_load_that_never_ends(nodejs):
    nodejs.write("stuck.js", "setInterval(() => {}, 1); for (;;) {}")
    nodejs.write_app("app.js", "const handle = () => 'served';")
    nginx = nodejs.start(
        lua={"/stuck": 'return ngx.load_ffi("ffi_nodejs", "stuck,init", {load_timeout = 0.05})'}
    )
    assert nodejs.answer("app,init") == "served"
    assert nginx.values("/stuck")[0] is None
    assert nodejs.answer("app,init,") == "served"
    before = nginx.usage()
    for _ in range(5):
        assert nginx.values("/stuck")[0] is None
    wait_for(lambda: nginx.usage().threads <= before.threads)
    wait_for(lambda: nginx.usage().files <= before.files)


def test_many_runtimes_serve_at_once(nodejs):
    nodejs.write_app("app.js", "let n = 0; const handle = () => String(++n);")
    nodejs.start(
        lua={
            "/all": """
                local threads, right = {}, 0
                local function use(i)
                    local rt = assert(ngx.load_ffi("ffi_nodejs", "app,init," .. i))
                    for n = 1, 200 do
                        local ok, answer = rt:call("")
                        right = right + (ok and answer == tostring(n) and 1 or 0)
                    end
                end
                for i = 1, 6 do
                    threads[i] = ngx.thread.spawn(use, i)
                end
                for i = 1, 6 do
                    assert(ngx.thread.wait(threads[i]))
                end
                return right
            """
        }
    )
    assert nodejs.nginx.values("/all") == [1200]


def test_reload_of_nginx_under_load_loses_no_call(nodejs):
    nodejs.write_app(
        "app.js",
        """
        const handle = async (request) => {
          await new Promise((resolve) => setTimeout(resolve, 2));
          return request;
        };
        """,
    )
    path = nodejs.path("call", "app,init", "x")
    nginx = nodejs.start()
    calls = []
    for _ in range(3):
        calls += [nginx.begin(path) for _ in range(30)]
        nginx.reload()
    assert [call.result() for call in calls] == [[True, "x"]] * 90
