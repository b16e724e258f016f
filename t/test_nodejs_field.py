"""Modules written for lua-resty-ffi run unchanged."""

import pytest
from harness.wait import wait_for

# A thread of the module's own polls, as there is no other way there.
MODULE = """
    const threads = require('node:worker_threads');
    const ffi = require('resty_ffi');

    if (threads.isMainThread) {
      exports.init = (cfg, tq) => {
        const poller = new threads.Worker(__filename);
        poller.on('message', (task) => {
          const request = ffi.get_req(task);
          if (request === 'fail') {
            ffi.respond(task, 5, 'failed');
          } else if (request === 'nothing') {
            ffi.respond(task, 0);
          } else if (request === 'die') {
            process.exit(1);
          } else {
            ffi.respond(task, 0, request);
          }
        });
        poller.postMessage(tq);
        return 0;
      };
    } else {
      threads.parentPort.once('message', (tq) => {
        for (;;) {
          const task = ffi.poll_task(tq);
          if (task == 0) {
            console.log('the poller ends');
            break;
          }
          threads.parentPort.postMessage(task);
        }
      });
    }
"""


@pytest.fixture
def field(nodejs):
    nodejs.write("demo/echo.js", MODULE)
    return nodejs


def test_module_that_polls_itself_is_served(field):
    assert field.call("demo/echo?,init", "hello") == [True, "hello"]
    assert field.call("demo/echo?,init", "fail") == [False, 5, "failed"]
    assert field.call("demo/echo?,init", "nothing") == [True]


def test_request_of_any_bytes_comes_back(field):
    field.start(
        lua={
            "/bytes": """
                local bytes = "\\0\\255\\0" .. ("x"):rep(100000)
                local rt = ngx.load_ffi("ffi_nodejs", "demo/echo,init,")
                local _, same = rt:echo(bytes)
                return same == bytes, rt:echo("ü\\0"), rt:echo(nil)
            """
        }
    )
    assert field.nginx.values("/bytes")[0] is True


def test_its_poller_ends_with_the_runtime(field):
    assert field.answer("demo/echo,init", "hello") == "hello"
    threads = field.nginx.usage().threads
    field.unload("demo/echo,init")
    wait_for(lambda: field.nginx.usage().threads < threads)
    field.nginx.log.wait("the poller ends")
    assert field.answer("demo/echo,init", "again") == "again"


def test_poller_that_comes_late_is_waited_for(nodejs):
    late = MODULE.replace("return 0;", "return new Promise((done) => setTimeout(done, 300));")
    late = late.replace("for (;;) {", "Atomics.wait(new Int32Array(shared), 0, 0, 600); for (;;) {")
    nodejs.write("app.js", "const shared = new SharedArrayBuffer(4);" + late)
    assert nodejs.answer("app,init", "hello") == "hello"


def test_request_may_be_read_while_another_thread_responds(nodejs):
    nodejs.write(
        "app.js",
        """
        const threads = require('node:worker_threads');
        const ffi = require('resty_ffi');

        if (threads.isMainThread) {
          exports.init = (cfg, tq) => {
            const begun = new Int32Array(new SharedArrayBuffer(4));
            const reader = new threads.Worker(__filename, { workerData: begun });
            const poller = new threads.Worker(__filename, { workerData: tq });
            poller.on('message', (task) => {
              Atomics.store(begun, 0, 0);
              reader.postMessage(task);
              Atomics.wait(begun, 0, 0, 5000);
              ffi.respond(task, 0, 'answered');
            });
          };
        } else if (typeof threads.workerData === 'bigint') {
          for (let task; (task = ffi.poll_task(threads.workerData)) !== 0n;) {
            threads.parentPort.postMessage(task);
          }
        } else {
          const begun = threads.workerData;
          threads.parentPort.on('message', (task) => {
            do {
              Atomics.add(begun, 0, 1);
              Atomics.notify(begun, 0);
            } while (ffi.get_req(task) !== undefined);
          });
        }
        """,
    )
    nodejs.start(
        lua={
            "/many": """
                local rt = ngx.load_ffi("ffi_nodejs", "app,init")
                local request, answered = ("\\255"):rep(50000000), 0
                for _ = 1, 10 do
                    local ok, answer = rt:call(request)
                    answered = answered + (ok and answer == "answered" and 1 or 0)
                end
                return answered
            """
        }
    )
    assert nodejs.nginx.values("/many") == [10]


def test_its_death_answers_what_it_has_taken(nodejs):
    nodejs.write("app.js", MODULE.replace("ffi.respond(task, 5, 'failed')", "'is kept'"))
    nodejs.start(
        lua={
            "/die": """
                local rt = ngx.load_ffi("ffi_nodejs", "app,init")
                local kept = ngx.thread.spawn(rt.call, rt, "fail", {timeout = 5})
                rt:call("die", {timeout = 5})
                local _, ok, rc, why = ngx.thread.wait(kept)
                return ok, rc, why
            """
        }
    )
    assert nodejs.nginx.values("/die") == [False, 1, "process.exit(1) was called"]


def test_queue_and_tasks_of_another_runtime_are_refused(nodejs):
    nodejs.write_app(
        "app.js",
        """
        const ffi = require('resty_ffi');
        const own = process._linkedBinding('resty_ffi').tq;
        const handle = (request) => {
          const tq = request === null ? own : BigInt(String(request));
          return request === null ? String(own) : String(ffi.poll_task(tq));
        };
        """,
    )
    other = nodejs.answer("app,init,other", None)
    waiting = nodejs.nginx.begin(nodejs.path("call", "app,init,other", None))
    assert nodejs.answer("app,init", other) == "0"
    assert waiting.result() == [True, other]


def test_its_death_ends_its_poller(field):
    assert field.answer("demo/echo,init", "hello") == "hello"
    threads = field.nginx.usage().threads
    answer = field.call("demo/echo,init", "die", timeout=5)
    assert answer[0] is False
    wait_for(lambda: field.nginx.usage().threads < threads)
    assert field.answer("demo/echo,init,", "again") == "again"


@pytest.mark.parametrize("task", ["0n", "5n", "2n ** 64n", "-1n", "1", "null", "'x'"])
def test_forged_handles_are_refused(nodejs, task):
    nodejs.write_app(
        "app.js",
        f"""
        const ffi = require('resty_ffi');
        const handle = () => {{
          const attempt = (what) => {{
            try {{ return String(what()); }} catch (e) {{ return e.name; }}
          }};
          return [
            attempt(() => ffi.get_req({task})),
            attempt(() => ffi.poll_task({task})),
            attempt(() => ffi.respond({task}, 0, 'x')),
          ].join();
        }};
        """,
    )
    answer = nodejs.answer("app,init")
    assert answer == (
        "undefined,0,undefined" if task.endswith("n") else "TypeError,TypeError,TypeError"
    )
