"""What a Node.js runtime must leave alone: the process is nginx's."""

import json
import re
from pathlib import Path

import pytest

GLIBC = 1 << 31 | 1 << 32
"""Signals of its own, with handlers from a process's second thread on."""

MAIN_THREAD = ("SigCgt", "SigIgn", "SigBlk", "Umask")


def state(nginx):
    """Of the worker's main thread."""
    pid = nginx.worker
    status = Path(f"/proc/{pid}/task/{pid}/status").read_text()
    found = {name: re.search(rf"^{name}:\s+(\S+)", status, re.M).group(1) for name in MAIN_THREAD}
    found["SigCgt"] = int(found["SigCgt"], 16) & ~GLIBC
    links = {name: str(Path(f"/proc/{pid}/{name}").readlink()) for name in ("cwd", "fd/1", "fd/2")}
    limits = Path(f"/proc/{pid}/limits").read_text()
    return {**found, **links, "limits": limits}


def test_process_is_as_it_was_after_load_use_and_unload(nodejs):
    nodejs.write_app(
        "app.js",
        """
        const { execFileSync } = require('child_process');
        const handle = () => execFileSync('/bin/echo', ['child']);
        """,
    )
    nginx = nodejs.start()
    before = state(nginx)
    assert nodejs.answer("app,init") == "child\n"
    assert state(nginx) == before
    nodejs.unload("app,init")
    assert state(nginx) == before


@pytest.mark.parametrize(
    "what",
    [
        "process.chdir('/')",
        "process.umask(0)",
        "process.setuid(65534)",
        "process.abort()",
    ],
)
def test_what_belongs_to_the_process_is_refused(nodejs, what):
    nodejs.write_app("app.js", f"const handle = () => String({what});")
    nginx = nodejs.start()
    before = state(nginx)
    ok, rc, why = nodejs.call("app,init")
    assert (ok, rc) == (False, 1)
    assert "not supported" in why
    assert state(nginx) == before


def test_signals_stay_with_nginx(nodejs):
    nodejs.write_app(
        "app.js",
        """
        for (const name of ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGCHLD', 'SIGWINCH', 'SIGPIPE']) {
          process.on(name, () => {});
        }
        const handle = () => 'listens';
        """,
    )
    nginx = nodejs.start()
    before = state(nginx)
    assert nodejs.answer("app,init") == "listens"
    assert state(nginx) == before
    nginx.reload()
    assert nodejs.answer("app,init") == "listens"


CHILD = """
    const { spawn } = require('child_process');
    const handle = (request) => new Promise((resolve) => {
      spawn('/bin/sh', ['-c', String(request)]).on('close', (code) => resolve(String(code)));
    });
"""


def test_exit_status_of_children_is_seen(nodejs):
    nodejs.write_app("app.js", CHILD)
    nodejs.start(
        lua={
            "/many": """
                local rt = ngx.load_ffi("ffi_nodejs", "app,init")
                local threads, seen = {}, {}
                for i = 1, 200 do
                    threads[i] = ngx.thread.spawn(rt.run, rt, "exit 3")
                end
                for i = 1, 200 do
                    local _, _, status = ngx.thread.wait(threads[i])
                    seen[status] = (seen[status] or 0) + 1
                end
                return seen
            """
        }
    )
    assert nodejs.nginx.values("/many") == [{"3": 200}]


def test_ngx_pipe_sees_the_exit_status_of_its_own(nodejs):
    nodejs.write_app("app.js", CHILD)
    nodejs.start(
        lua={
            "/pipe": """
                local supported, pipe = pcall(require, "ngx.pipe")
                if not supported then
                    return "unsupported"
                end
                local rt = ngx.load_ffi("ffi_nodejs", "app,init")
                local right = 0
                for i = 1, 20 do
                    local guest = ngx.thread.spawn(rt.run, rt, "exit 3")
                    local _, _, status = pipe.spawn({"sh", "-c", "exit 4"}):wait()
                    local _, _, other = ngx.thread.wait(guest)
                    right = right + (status == 4 and other == "3" and 1 or 0)
                end
                return right
            """
        }
    )
    right = nodejs.nginx.values("/pipe")
    if right == ["unsupported"]:
        pytest.skip("this nginx has no ngx.pipe")
    assert right == [20]


def test_child_gets_no_signal_mask(nodejs):
    nodejs.write_app(
        "app.js",
        """
        const { execFileSync } = require('child_process');
        const handle = () => execFileSync('/bin/grep', ['SigBlk', '/proc/self/status']);
        """,
    )
    assert int(nodejs.answer("app,init").split()[1], 16) == 0


def test_fork_starts_a_node(nodejs):
    nodejs.write("child.js", "process.on('message', (m) => process.send(m + '!'));")
    nodejs.write_app(
        "app.js",
        """
        const { fork } = require('child_process');
        const handle = (request) => new Promise((resolve, reject) => {
          const child = fork(`${__dirname}/child.js`).on('error', reject);
          child.on('message', (message) => { child.kill(); resolve(message); });
          child.send(String(request));
        });
        """,
    )
    assert nodejs.answer("app,init", "hello") == "hello!"


def test_environment_is_each_runtimes_own(nodejs):
    nodejs.write_app(
        "app.js",
        """
        const handle = (request) => {
          const before = process.env.FRUIT;
          process.env.FRUIT = String(request);
          return `${before} ${process.env.FRUIT}`;
        };
        """,
    )
    nodejs.start(env={"FRUIT": "apple"})
    assert nodejs.answer("app,init", "pear") == "apple pear"
    assert nodejs.answer("app,init", "plum") == "pear plum"
    assert nodejs.answer("app,init,another", "fig") == "apple fig"


def test_values_of_the_environment_are_strings(nodejs):
    nodejs.write_app(
        "app.js",
        """
        const handle = () => {
          process.env.NUMBER = 5;
          Object.assign(process.env, { NOTHING: null });
          process.env.GONE = 'x';
          delete process.env.GONE;
          const { NUMBER, NOTHING, GONE } = process.env;
          try { Object.freeze(process.env); } catch {}
          const kept = process.env.NUMBER === NUMBER;
          return JSON.stringify([NUMBER, NOTHING, GONE ?? null, 'GONE' in process.env, kept]);
        };
        """,
    )
    assert nodejs.answer("app,init") == '["5","null",null,false,true]'


@pytest.mark.parametrize("options", ["env: SHARE_ENV", "", "env: { OTHER: 'x' }"])
def test_environment_of_nginx_is_not_that_of_threads(nodejs, options):
    nodejs.write_app(
        "app.js",
        f"""
        const {{ Worker, SHARE_ENV }} = require('worker_threads');
        const code = `process.env.FRUIT = 'pear';
          require('worker_threads').parentPort.postMessage(process.env.FRUIT)`;
        process.env.COPIED = 'yes';
        const handle = () => new Promise((resolve, reject) => {{
          new Worker(code, {{ eval: true, {options} }}).on('message', resolve).on('error', reject);
        }});
        """,
    )
    nodejs.start(
        env={"FRUIT": "apple"},
        lua={
            "/env": """
                local ffi = require("ffi")
                ffi.cdef("char *getenv(const char *name);")
                local values = {}
                for i, name in ipairs({"FRUIT", "COPIED"}) do
                    local value = ffi.C.getenv(name)
                    values[i] = value ~= nil and ffi.string(value) or "none"
                end
                return values
            """
        },
    )
    assert nodejs.answer("app,init") == "pear"
    assert nodejs.nginx.values("/env") == [["apple", "none"]]


def test_node_options_count(nodejs):
    nodejs.write_app(
        "app.js", "const handle = () => String(new Error('x').stack.split('\\n').length);"
    )
    nodejs.start(env={"NODE_OPTIONS": "--stack-trace-limit=1"})
    assert nodejs.answer("app,init") == "2"


@pytest.mark.parametrize("where", ["runtime", "thread"])
def test_child_gets_no_connection_of_nginx(nodejs, where):
    nodejs.write(
        "spawn.js",
        """
        const { execFileSync } = require('child_process');
        module.exports = () => execFileSync('/bin/ls', ['-l', '/proc/self/fd']).toString();
        """,
    )
    nodejs.write(
        "thread.js",
        "require('worker_threads').parentPort.postMessage(require('./spawn')());",
    )
    nodejs.write_app(
        "app.js",
        """
        const { Worker } = require('worker_threads');
        const handle = (request) => String(request) === 'runtime'
          ? require('./spawn')()
          : new Promise((resolve) => {
            new Worker(`${__dirname}/thread.js`).on('message', resolve);
          });
        """,
    )
    links = [line.partition("-> ")[2] for line in nodejs.answer("app,init", where).splitlines()]
    # Its standard streams may be sockets, of a pair.
    assert len([link for link in links if link.startswith("socket:")]) <= 3
    assert not [link for link in links if "anon_inode" in link or "error.log" in link]


def test_wrong_node_options_are_said(nodejs):
    nodejs.write_app("app.js", "const handle = () => 'x';")
    nodejs.start(env={"NODE_OPTIONS": "--no-such-option"})
    loaded, why = nodejs.load("app,init")
    assert not loaded
    assert "Node.js does not start: " in why
    assert "--no-such-option is not allowed in NODE_OPTIONS" in why
    assert nodejs.load("app,init") == [False, why]


def test_node_options_that_the_loader_cannot_bear_are_said(nodejs):
    nodejs.write_app("app.js", "const handle = () => 'x';")
    nodejs.start(env={"NODE_OPTIONS": "--frozen-intrinsics"})
    loaded, why = nodejs.load("app,init")
    assert not loaded
    assert "TypeError: Cannot assign to read only property" in why


def test_private_functions_take_no_harm(nodejs):
    nodejs.write_app(
        "app.js",
        """
        const binding = process._linkedBinding('resty_ffi');
        const things = [undefined, null, -1, 5, 2 ** 31, 1.5, 'x', {}, [], 7n, () => 1,
          new Int32Array(3), new Int32Array(4 * 64 + 1), Buffer.alloc(9),
          new Int32Array(new SharedArrayBuffer(16)), Object.freeze([])];
        const excepted = new Set([binding.die, binding.finished, binding.log]);
        const others = Object.values(binding).filter((f) => typeof f === 'function'
          && !excepted.has(f));
        async function handle() {
          let thrown = 0;
          for (const f of others) {
            for (const a of things) {
              for (const b of things) {
                for (const order of [[a, b, 0, b, b, 1], [b, b, a, a, a, a], [a, a, b, a, b, b]]) {
                  try { await f(...order); } catch { thrown++; }
                }
              }
            }
          }
          return JSON.stringify([others.length, thrown > 0]);
        }
        """,
    )
    nodejs.start(http="lua_ffi_shutdown_timeout 1s;")
    called, has_thrown = json.loads(nodejs.answer("app,init"))
    assert called == 12
    assert has_thrown
    assert json.loads(nodejs.answer("app,init"))[0] == called
    nodejs.unload("app,init")
