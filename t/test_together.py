"""All languages in one worker, under load, while runtimes come and go.

RESTY_FFI_SOAK: for how many seconds; make soak says ten minutes.
"""

import itertools
import os
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from harness.language import LANGUAGES
from harness.port import Port
from harness.wait import DEADLINE

SECONDS = float(os.environ.get("RESTY_FFI_SOAK", "15"))

HUP_EVERY = 3.0

CALLS = 20

PRELUDE = "local loaders = {" + "".join(
    f'["{lang}"] = function(app, opts) return assert({lang.load}) end,' for lang in LANGUAGES
)
PRELUDE += '} local load = loaders[ngx.var.arg_lang] local id = ngx.var.request_id .. "-"'

LUA = {
    # Each answer is compared: none may be another call's.
    "/echo": f"""
        local rt = load("echo")
        local threads = {{}}
        for i = 1, {CALLS} do
            threads[i] = ngx.thread.spawn(rt.echo, rt, id .. i)
        end
        for i = 1, {CALLS} do
            local _, ok, res, err = ngx.thread.wait(threads[i])
            if not ok or res ~= id .. i then
                return tostring(res), err
            end
        end
        return "right"
    """,
    "/cycle": """
        local rt = load("big", {unpin = true})
        local ok, res, err = rt:get("100000")
        if not ok then
            return res, err
        end
        local gone, why = rt:__unload(15)
        return gone and #res == 100000 and "right" or why
    """,
}


def make_certificate(folder):
    files = ["-keyout", folder / "key.pem", "-out", folder / "cert.pem"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, *files]
    subprocess.run(command, check=True, capture_output=True)


def until(end, step):
    """How many times step() was run: once at least."""
    for number in itertools.count(1):
        step()
        if time.monotonic() > end:
            return number


def test_all_languages_in_one_worker(server, tmp_path, figure):
    make_certificate(tmp_path)
    port = Port()
    nginx = server(
        prelude=PRELUDE,
        lua=LUA,
        server=f"""
            listen 127.0.0.1:{port.number} ssl;
            ssl_certificate {tmp_path}/cert.pem;
            ssl_certificate_key {tmp_path}/key.pem;
        """,
    )
    tls = f"https://127.0.0.1:{port.number}"

    def ask(path):
        assert nginx.values(path) == ["right"], path

    def ask_by_tls(path):
        answer = requests.get(tls + path, timeout=DEADLINE, verify=tmp_path / "cert.pem")
        assert answer.json() == ["right"], path

    for lang in LANGUAGES:
        ask(f"/echo?lang={lang}")
    end = time.monotonic() + SECONDS
    with ThreadPoolExecutor(2 * len(LANGUAGES) + 1) as clients:
        jobs = [
            *((ask, f"/echo?lang={lang}") for lang in LANGUAGES),
            *((ask_by_tls, f"/cycle?lang={lang}") for lang in LANGUAGES),
        ]
        asked = [
            clients.submit(until, end, lambda job=job, path=path: job(path)) for job, path in jobs
        ]
        until(end - HUP_EVERY, lambda: (time.sleep(HUP_EVERY), nginx.reload()))
        counts = [future.result() for future in asked]
    figure(f"{sum(counts)} requests in {SECONDS:.0f} s, all right")
    assert all(counts)
    port.release()
