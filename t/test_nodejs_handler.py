"""Handlers in Node.js: what serve() takes, and what a call is to them."""

import json

import pytest
from harness.wait import wait_for

# ---- kinds of handlers

KV = """
    const values = new Map();
    const kv = {
      set(request) { const [k, v] = String(request).split('='); values.set(k, v); },
      async get(request) { return values.get(String(request)) ?? null; },
      '': () => 'plain',
      number: 5,
      get getter() { throw new Error('evaluated'); },
      _private() { return 'private'; },
      close() {},
    };
"""


def test_object_is_called_by_the_name_of_the_method(nodejs):
    nodejs.write(
        "app.js", f"const {{ serve }} = require('resty_ffi');{KV}exports.init = serve(kv);"
    )
    assert nodejs.call("app,init", "a=1", method="set") == [True]
    assert nodejs.call("app,init", "a", method="get") == [True, "1"]
    assert nodejs.call("app,init", "b", method="get") == [True]
    assert nodejs.call("app,init", "", method="") == [True, "plain"]


@pytest.mark.parametrize(
    "method", ["nothing", "number", "_private", "close", "constructor", "toString", "__proto__"]
)
def test_unknown_method_is_said(nodejs, method):
    nodejs.write(
        "app.js", f"const {{ serve }} = require('resty_ffi');{KV}exports.init = serve(kv);"
    )
    assert nodejs.call("app,init", "", method=method) == [False, 1, f"no method '{method}'"]


def test_class_is_made_once_with_the_configuration(nodejs):
    nodejs.write(
        "app.js",
        """
        const { serve } = require('resty_ffi');
        class Base { limit() { return String(this._limit); } }
        class Counter extends Base {
          constructor({ limit }) { super(); this._limit = limit; this._n = 0; }
          hit() { return String(++this._n); }
        }
        exports.init = serve(Counter, { cfg: JSON.parse });
        """,
    )
    cfg = 'app,init,{"limit": 7}'
    assert [nodejs.call(cfg, method="hit")[1] for _ in range(2)] == ["1", "2"]
    assert nodejs.call(cfg, method="limit") == [True, "7"]
    assert nodejs.call('app,init,{"limit": 8}', method="hit") == [True, "1"]


def test_factory_makes_the_handler(nodejs):
    nodejs.write(
        "app.js",
        """
        const { serve } = require('resty_ffi');
        async function make(cfg) {
          await new Promise(setImmediate);
          return (request) => `${cfg} ${request}`;
        }
        exports.init = serve(make, { factory: true, cfg: (text) => text.toUpperCase() });
        """,
    )
    assert nodejs.answer("app,init,hello", "you") == "HELLO you"


@pytest.mark.parametrize(
    ("make", "error"),
    [
        ("serve(() => { throw new Error('no') }, { factory: true })", "Error: no"),
        ("serve(class { constructor() { throw new Error('no') } })", "Error: no"),
        ("serve(class {}, { cfg: JSON.parse })", "SyntaxError: Unexpected end of JSON input"),
        ("serve(() => 5, { factory: true })", "TypeError: handler must be"),
        ("serve(class {}, { factory: true })", "factory: true needs a function"),
        ("serve(String, { concurrency: 0 })", "concurrency must be a positive integer, not 0"),
        ("serve(String, { cfg: 1 })", "cfg must be a function, not 1"),
    ],
)
def test_handler_that_cannot_be_made_is_a_failed_load(nodejs, make, error):
    nodejs.write("app.js", f"const {{ serve }} = require('resty_ffi'); exports.init = {make};")
    loaded, why = nodejs.load("app,init")
    assert not loaded
    assert error in why


# ---- requests and responses


@pytest.mark.parametrize(
    ("body", "values"),
    [
        ("return 'text ü'", [True, "text ü".encode().decode("latin-1")]),
        ("return Buffer.from([0, 255, 0])", [True, "\0\xff\0"]),
        ("return new Uint8Array([1, 0])", [True, "\1\0"]),
        ("return new Uint16Array([0x4142])", [True, "BA"]),
        ("return Buffer.from('abcdef').subarray(2, 4)", [True, "cd"]),
        ("return ''", [True, ""]),
        ("return Buffer.alloc(0)", [True, ""]),
        ("return 'lone \\ud800'", [True, "lone \ufffd".encode().decode("latin-1")]),
        ("return null", [True]),
        ("", [True]),
        ("return Promise.resolve('later')", [True, "later"]),
        ("return { then(done) { done('thenable'); } }", [True, "thenable"]),
    ],
)
def test_response_may_be(nodejs, body, values):
    nodejs.write_app("app.js", f"function handle() {{ {body} }}")
    assert nodejs.call("app,init") == values


@pytest.mark.parametrize("value", ["5", "{}", "[]", "true", "5n", "Symbol('x')", "() => 1"])
@pytest.mark.parametrize("how", ["", "async "])
def test_response_of_another_type_is_an_error(nodejs, value, how):
    nodejs.write_app("app.js", f"{how}function handle() {{ return {value}; }}")
    ok, rc, why = nodejs.call("app,init")
    assert (ok, rc) == (False, 1)
    assert why.startswith("TypeError: handler returned ")
    assert why.endswith("not a string, a Buffer, a Uint8Array, null or undefined")


@pytest.mark.parametrize("size", [0, 1, 2047, 2048, 2049, 40000])
def test_request_is_a_buffer_of_its_own(nodejs, size):
    nodejs.write_app(
        "app.js",
        """
        const kept = [];
        function handle(request) {
          kept.push(request);
          const right = kept.every((one, i) => one.equals(Buffer.alloc(one.length, i)));
          return `${Buffer.isBuffer(request)} ${right} ${kept.length}`;
        }
        """,
    )
    nodejs.start(
        lua={
            "/many": f"""
                local rt = ngx.load_ffi("ffi_nodejs", "app,init")
                local last
                for i = 0, 99 do
                    _, last = rt:call(string.char(i):rep({size}))
                end
                return last
            """
        }
    )
    assert nodejs.nginx.values("/many") == ["true true 100"]


# ---- errors


@pytest.mark.parametrize("how", ["", "async "])
@pytest.mark.parametrize(
    ("error", "values"),
    [
        ("new CallError(429, 'too many')", [False, 429, "too many"]),
        ("new CallError(-1, Buffer.from([0, 1]))", [False, -1, "\0\1"]),
        ("new CallError(2)", [False, 2]),
        ("new RangeError('no')", [False, 1, "RangeError: no"]),
        ("'text'", [False, 1, "thrown: 'text'"]),
        ("null", [False, 1, "thrown: null"]),
        ("undefined", [False, 1, "thrown: undefined"]),
        (
            "new CallError(0, 'x')",
            [False, 1, "TypeError: rc must be an integer other than 0, not 0"],
        ),
        ("{ toString() { throw 1 } }", [False, 1, "thrown: { toString: [Function: toString] }"]),
    ],
)
def test_what_is_thrown_is_what_lua_gets(nodejs, how, error, values):
    nodejs.write_app("app.js", f"{how}function handle() {{ throw {error}; }}")
    assert nodejs.call("app,init") == values


def test_stack_is_in_the_log_once_and_only_of_unexpected_errors(nodejs):
    nodejs.write_app(
        "app.js",
        """
        function handle(request) {
          if (String(request) === 'expected') { throw new CallError(5, 'expected'); }
          throw new Error('unexpected');
        }
        """,
    )
    nodejs.call("app,init", "expected")
    nodejs.call("app,init", "unexpected")
    log = nodejs.nginx.log
    log.wait('runtime "ffi_nodejs app,init":  *at handle .*/app.js:')
    assert len(log.find("Error: unexpected")) == 1
    assert not log.find("Error: expected")


# ---- the call


def test_call_knows_its_method_deadline_and_request_id(nodejs):
    nodejs.write_app(
        "app.js",
        """
        const { performance } = require('perf_hooks');
        async function handle(request, ctx) {
          const first = [ctx.method, ctx.requestId, ctx.isAbandoned()];
          await new Promise(setImmediate);
          const left = ctx.timeLeft();
          const until = ctx.deadline - performance.now();
          return JSON.stringify([...first, left, until, ctx.signal.aborted]);
        }
        """,
    )
    nodejs.start(server="lua_ffi_request_id id-$arg_id;")
    path = nodejs.path("call", "app,init", method="some", timeout=5) + "&id=7"
    ok, answer = nodejs.nginx.values(path)
    assert ok
    method, request_id, abandoned, left, until, aborted = json.loads(answer)
    assert (method, request_id, abandoned, aborted) == ("some", "id-7", False, False)
    assert 3000 < left <= 5000
    assert abs(until - left) < 100


def test_answered_call_is_harmless(nodejs):
    nodejs.write_app(
        "app.js",
        """
        let kept;
        function handle(request, ctx) {
          const before = kept;
          kept = ctx;
          return before ? JSON.stringify([before.timeLeft(), before.isAbandoned(),
            before.requestId ?? null, before.signal.aborted]) : 'first';
        }
        """,
    )
    assert nodejs.answer("app,init") == "first"
    assert json.loads(nodejs.answer("app,init")) == [0, False, None, False]


WAITS = """
    const net = require('net');
    const tell = (text) => new Promise((resolve) => {
      const gate = net.connect('gate', () => gate.end(`${text}\\n`));
      gate.on('close', resolve).resume();
    });
    async function handle(request, { signal }) {
      await tell('started');
      if (!signal.aborted) {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
      }
      await tell(`aborted: ${signal.reason.name}`);
      signal.throwIfAborted();
    }
"""


def test_timeout_aborts_the_signal(nodejs):
    nodejs.write_app("app.js", WAITS)
    assert nodejs.call("app,init", timeout=0.2) == [False, "timeout"]
    held = nodejs.nginx.gate.wait()
    held.open()
    assert nodejs.nginx.gate.wait().name == "aborted: AbortError"
    assert not nodejs.nginx.log.find("AbortError")


def test_client_that_leaves_aborts_the_signal(nodejs):
    nodejs.write_app("app.js", WAITS)
    nginx = nodejs.start(server="lua_check_client_abort on;")
    with nginx.connect(nodejs.path("call", "app,init")):
        nginx.gate.wait().open()
    assert nginx.gate.wait().name == "aborted: AbortError"


def test_signal_of_a_call_that_was_given_up_before_is_aborted(nodejs):
    nodejs.write_app(
        "app.js",
        """
        let first;
        async function handle(request, ctx) {
          if (first === undefined) {
            first = ctx;
            await new Promise(() => {});
          }
          return `${first.isAbandoned()} ${first.signal.aborted}`;
        }
        """,
    )
    assert nodejs.call("app,init", timeout=0.3) == [False, "timeout"]
    assert nodejs.answer("app,init") == "true true"


def test_concurrency_is_what_is_served_at_once(nodejs):
    nodejs.write(
        "app.js",
        """
        const { serve } = require('resty_ffi');
        let running = 0;
        let most = 0;
        async function handle() {
          most = Math.max(most, ++running);
          await new Promise((resolve) => setTimeout(resolve, 1));
          running--;
          return String(most);
        }
        exports.init = serve(handle, { concurrency: 3 });
        """,
    )
    nodejs.start(
        lua={
            "/many": """
                local rt = ngx.load_ffi("ffi_nodejs", "app,init")
                local threads, last = {}, nil
                for i = 1, 50 do
                    threads[i] = ngx.thread.spawn(rt.call, rt, "")
                end
                for i = 1, 50 do
                    local _, ok, most = ngx.thread.wait(threads[i])
                    assert(ok)
                    last = most
                end
                return last
            """
        }
    )
    assert nodejs.nginx.values("/many") == ["3"]


def test_calls_that_never_end_give_up_their_places(nodejs):
    nodejs.write(
        "app.js",
        """
        const { serve } = require('resty_ffi');
        const handle = (request) => String(request) === 'never' ? new Promise(() => {}) : 'served';
        exports.init = serve(handle, { concurrency: 2 });
        """,
    )
    for _ in range(3):
        assert nodejs.call("app,init", "never", timeout=0.3) == [False, "timeout"]
    assert nodejs.answer("app,init", "other") == "served"
    for _ in range(2):
        assert nodejs.call("app,init", "never", timeout=0.3) == [False, "timeout"]
    nodejs.unload("app,init")


def test_call_may_be_taken_apart(nodejs):
    nodejs.write_app(
        "app.js",
        """
        const { performance } = require('perf_hooks');
        let kept;
        function handle(request, ctx) {
          const { method, timeLeft, isAbandoned, signal, deadline } = kept ?? ctx;
          const later = kept === undefined || kept.deadline === deadline;
          kept = ctx;
          const left = deadline - performance.now();
          return JSON.stringify([method, timeLeft() > 0, isAbandoned(), signal.aborted, later,
            left > 0, ctx.requestId]);
        }
        """,
    )
    assert json.loads(nodejs.answer("app,init")) == ["call", True, False, False, True, True, None]
    assert json.loads(nodejs.answer("app,init")) == ["call", False, False, False, True, True, None]


def test_answered_call_keeps_its_request_id(nodejs):
    nodejs.write_app(
        "app.js",
        """
        let kept;
        function handle(request, ctx) {
          const id = kept?.requestId;
          kept = ctx;
          return id;
        }
        """,
    )
    nodejs.start(server="lua_ffi_request_id id-$arg_request;")
    assert nodejs.call("app,init", "1") == [True]
    assert nodejs.call("app,init", "2") == [True, "id-1"]


# ---- objects that mean harm

UNSENDABLE = "not a string, a Buffer, a Uint8Array, null or undefined"
UNKNOWN = "an error that cannot be described"

HOSTILE = {
    "rc that is none": (
        "const e = new CallError(5, 'five'); e.rc = 0; throw e",
        [False, 5, "five"],
    ),
    "rc defined": (
        "throw Object.defineProperty(new CallError(5, 'five'), 'rc', { value: 0 })",
        [False, 5, "five"],
    ),
    "response defined": (
        "throw Object.defineProperty(new CallError(5, 'five'), 'response', { value: {} })",
        [False, 5, "five"],
    ),
    "message changed": (
        "const e = new CallError(5, 'five'); e.message += ' of six'; throw e",
        [False, 5, "five of six"],
    ),
    "message that is none": (
        "const e = new CallError(5, 'five'); e.message = {}; throw e",
        [False, 5, "five"],
    ),
    "message that throws": (
        "throw Object.defineProperty(new CallError(5, 'x'), 'message', { get() { throw 1; } })",
        [False, 1, UNKNOWN],
    ),
    "prototype alone": ("throw Object.create(CallError.prototype)", None),
    "proxy of an error": (
        "throw new Proxy(new CallError(5, 'x'), { getPrototypeOf() { throw 1; } })",
        None,
    ),
    "name that throws": ("throw { get name() { throw 1; } }", None),
    "inspect that throws": (
        "throw { [require('util').inspect.custom]() { throw 1; } }",
        [False, 1, UNKNOWN],
    ),
    "response's inspect that throws": (
        "return { [require('util').inspect.custom]() { throw 1; } }",
        [False, 1, f"TypeError: handler returned something, {UNSENDABLE}"],
    ),
    "proxy of a promise": (
        "return new Proxy(Promise.resolve('x'), {})",
        [False, 1, "TypeError: Method Promise.prototype.then called on incompatible receiver "],
    ),
    "then that throws": (
        "return Object.assign(Promise.resolve('x'), { then() { throw new Error('no'); } })",
        [True, "x"],
    ),
    "constructor that throws": (
        "return Object.defineProperty(Promise.resolve(), 'constructor', { get() { throw 1; } })",
        [False, 1, "thrown: 1"],
    ),
    "thenable that throws": (
        "return { then() { throw new Error('no'); } }",
        [False, 1, "Error: no"],
    ),
    "thenable that resolves twice": ("return { then(f) { f('a'); f('b'); } }", [True, "a"]),
    "thenable that does both": ("return { then(f, g) { f('a'); g('b'); throw 1; } }", [True, "a"]),
}


@pytest.mark.parametrize("how", HOSTILE)
def test_hostile_object_harms_its_own_call_only(nodejs, how):
    body, values = HOSTILE[how]
    nodejs.write(
        "app.js",
        f"""
        const {{ serve, Error: CallError }} = require('resty_ffi');
        function handle(request) {{
          if (String(request) === 'other') {{ return 'served'; }}
          {body};
        }}
        exports.init = serve(handle, {{ concurrency: 3 }});
        """,
    )
    nodejs.start(
        lua={
            "/batch": """
                local rt = ngx.load_ffi("ffi_nodejs", "app,init")
                local threads, served = {}, 0
                for i, request in ipairs({"other", "harm", "other", "harm", "other"}) do
                    threads[i] = ngx.thread.spawn(rt.call, rt, request, {timeout = 5})
                end
                for i = 1, 5, 2 do
                    local _, ok, answer = ngx.thread.wait(threads[i])
                    served = served + (ok and answer == "served" and 1 or 0)
                end
                local _, ok, rc, why = ngx.thread.wait(threads[2])
                return served, ok, rc, why
            """
        }
    )
    served, *harmed = nodejs.nginx.values("/batch")
    assert served == 3
    if values is None:
        assert harmed[:2] == [False, 1]
    else:
        *front, last = values
        assert harmed[:-1] == front
        assert harmed[-1].startswith(last)
    nodejs.unload("app,init")
    assert not nodejs.nginx.log.find("it is stopped")


def test_slot_of_a_late_answer_is_not_anothers(nodejs):
    nodejs.write_app(
        "app.js",
        """
        let again;
        function handle(request) {
          if (String(request) === 'first') {
            return { then(resolve) { again = resolve; resolve('first'); } };
          }
          again('twice');
          return new Promise((resolve) => setTimeout(resolve, 50, 'second'));
        }
        """,
    )
    assert nodejs.answer("app,init", "first") == "first"
    assert nodejs.answer("app,init", "second") == "second"
    nodejs.unload("app,init")


def test_timers_that_a_module_replaces_are_its_own(nodejs):
    nodejs.write(
        "app.js",
        """
        const { serve } = require('resty_ffi');
        globalThis.setImmediate = globalThis.setInterval = () => { throw new Error('faked'); };
        const wait = () => new Promise((resolve) => setTimeout(resolve, 1, 'served'));
        exports.init = serve(wait, { concurrency: 1 });
        """,
    )
    for _ in range(2):
        assert nodejs.answer("app,init") == "served"
    nodejs.unload("app,init")


# ---- the end


def test_close_is_awaited_after_the_last_answer(nodejs):
    nodejs.write(
        "app.js",
        """
        const net = require('net');
        const { serve } = require('resty_ffi');
        const hold = (name) => new Promise((resolve) => {
          net.connect('gate').on('close', () => resolve()).end(`${name}\\n`).resume();
        });
        exports.init = serve({ call: () => hold('call'), close: () => hold('close') });
        """,
    )
    nginx = nodejs.start(lua={"/drop": "return load():__unload()"})
    call = nginx.begin(nodejs.path("call", "app,init"))
    held = nginx.gate.wait()
    threads = nginx.usage().threads
    assert nginx.values(nodejs.path("drop", "app,init")) == [True]
    assert not nginx.gate.has_visitor()
    held.open()
    closing = nginx.gate.wait()
    assert closing.name == "close"
    assert call.result() == [True]
    closing.open()
    wait_for(lambda: nginx.usage().threads < threads)


def test_exit_is_told_after_close(nodejs):
    nodejs.write(
        "app.js",
        """
        const { serve } = require('resty_ffi');
        process.on('exit', (code) => console.log(`exit ${code}`));
        exports.init = serve({ call: () => 'x', close: () => console.log('close') });
        """,
    )
    assert nodejs.answer("app,init") == "x"
    nodejs.unload("app,init")
    nodejs.nginx.log.wait("exit 0")
    assert "close" in nodejs.nginx.log.find('init": (close|exit)')[0]


@pytest.mark.parametrize("body", ["throw new Error('cannot close')", "setInterval(() => {}, 9)"])
def test_runtime_ends_whatever_close_does(nodejs, body):
    nodejs.write(
        "app.js",
        f"const {{ serve }} = require('resty_ffi');\n"
        f"exports.init = serve({{ call() {{ return 'x'; }}, close() {{ {body}; }} }});",
    )
    assert nodejs.answer("app,init") == "x"
    threads = nodejs.nginx.usage().threads
    nodejs.unload("app,init")
    wait_for(lambda: nodejs.nginx.usage().threads < threads)


def test_call_that_never_ends_does_not_keep_the_runtime_beyond_its_timeout(nodejs):
    nodejs.write_app("app.js", "const handle = () => new Promise(() => {});")
    assert nodejs.call("app,init", timeout=0.3) == [False, "timeout"]
    nodejs.unload("app,init")
