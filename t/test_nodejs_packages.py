"""What Node.js brings along works in a runtime."""

import json
import subprocess

import pytest
from harness.wait import wait_for

ADDON = """
    typedef void *napi_value;
    int napi_create_string_utf8(void *env, const char *text, unsigned long len, napi_value *value);

    __attribute__((visibility("default"))) napi_value
    napi_register_module_v1(void *env, napi_value exports)
    {
        napi_value text;
        napi_create_string_utf8(env, "from an addon", -1, &text);
        return text;
    }
"""


def test_native_addon_in_several_runtimes(nodejs, tmp_path):
    source = nodejs.write("addon.c", ADDON)
    subprocess.run(["cc", "-shared", "-fPIC", source, "-o", tmp_path / "addon.node"], check=True)
    nodejs.write_app("app.js", "const text = require('./addon.node'); const handle = () => text;")
    for i in range(3):
        assert nodejs.answer(f"app,init,{i}") == "from an addon"
    nodejs.unload("app,init,1")
    assert nodejs.answer("app,init,0") == "from an addon"


def test_worker_threads(nodejs):
    nodejs.write(
        "thread.js",
        """
        const { parentPort, workerData } = require('worker_threads');
        parentPort.postMessage(`${workerData} ${typeof require('resty_ffi').serve}`);
        """,
    )
    nodejs.write_app(
        "app.js",
        """
        const { Worker } = require('worker_threads');
        const handle = (request) => new Promise((resolve, reject) => {
          new Worker(`${__dirname}/thread.js`, { workerData: String(request) })
            .on('message', resolve).on('error', reject);
        });
        """,
    )
    threads = [nodejs.call("app,init", str(i)) for i in range(3)]
    assert threads == [[True, f"{i} function"] for i in range(3)]


def test_threads_that_run_end_with_the_runtime(nodejs):
    nodejs.write_app(
        "app.js",
        """
        const { Worker } = require('worker_threads');
        const workers = [1, 2, 3].map(() => new Worker('for (;;) {}', { eval: true }));
        const handle = async () => {
          await Promise.all(workers.map((worker) => worker.threadId || null));
          return 'run';
        };
        """,
    )
    nodejs.write_app("other.js", "const handle = () => 'x';")
    assert nodejs.answer("other,init") == "x"
    before = nodejs.nginx.usage().threads
    assert nodejs.answer("app,init") == "run"
    assert nodejs.nginx.usage().threads >= before + 4
    nodejs.unload("app,init")
    wait_for(lambda: nodejs.nginx.usage().threads == before)


@pytest.mark.parametrize(
    "code",
    [
        "return require('crypto').createHash('sha256').update('x').digest('hex').slice(0, 4)",
        "return require('zlib').gunzipSync(require('zlib').gzipSync('2d71'))",
        "const f = require('fs/promises'); await f.writeFile('f', '2d71'); return f.readFile('f')",
        "return new Promise((done) => setTimeout(done, 1, '2d71'))",
        "return new Promise((done) => queueMicrotask(() => done('2d71')))",
        "return new Intl.NumberFormat('de').format(1234.5) === '1.234,5' ? '2d71' : 'no ICU'",
        "return structuredClone(Buffer.from('2d71'))",
        "return require('vm').runInNewContext('\"2d71\"')",
        "return (await (await fetch('data:text/plain,2d71')).text())",
        "return (await require('dns/promises').lookup('127.0.0.1')).address && '2d71'",
        "return require('child_process').execSync('echo 2d71').toString().trim()",
        "require('v8').getHeapStatistics(); return '2d71'",
        "return WebAssembly.validate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])) && '2d71'",
    ],
)
def test_library_works(nodejs, code):
    nodejs.write_app("app.js", f"async function handle() {{ {code}; }}")
    assert nodejs.call("app,init") == [True, "2d71"]


def test_trap_in_webassembly_is_an_error(nodejs):
    nodejs.write_app(
        "app.js",
        """
        // (func (export "f") i32.const -4; i32.load; drop), with one page of memory
        async function handle() {
          const source = '0061736d0100000001040160000003020100050301000107050101660000' +
            '0a0a010800417c2802001a0b';
          const { instance } = await WebAssembly.instantiate(Buffer.from(source, 'hex'));
          instance.exports.f();
        }
        """,
    )
    ok, _, why = nodejs.call("app,init")
    assert not ok
    assert why == "RuntimeError: memory access out of bounds"


def test_https_beside_nginx(nodejs):
    nodejs.write_app(
        "app.js",
        """
        const tls = require('tls');
        const { openssl } = process.versions;
        const handle = () => JSON.stringify([openssl, tls.getCiphers().length > 9]);
        """,
    )
    version, has_ciphers = json.loads(nodejs.answer("app,init"))
    assert version
    assert has_ciphers
