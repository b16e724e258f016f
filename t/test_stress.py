"""Everything at once, as a seed has it: loads, unloads, reloads, timeouts, callers that
leave, HUPs, killed workers. Each answer is compared with its request.

RESTY_FFI_STRESS: for how many seconds; make stress says three minutes, under
AddressSanitizer. RESTY_FFI_SEED: which schedule; without it another one each time.
"""

from __future__ import annotations

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from harness.language import LANGUAGES

SECONDS = float(os.environ.get("RESTY_FFI_STRESS", "10"))

SEED = int(os.environ.get("RESTY_FFI_SEED") or random.randrange(1 << 32))

CLIENTS = 6

KILL_EVERY = 5.0
"""At least: stock nginx, too, loses what a killed worker had."""

PRELUDE = "local loaders = {" + "".join(
    f'["{lang}"] = function(app, opts) return assert({lang.load}) end,' for lang in LANGUAGES
)
PRELUDE += """}
    local args = ngx.req.get_uri_args()
    local load = loaders[args.lang]

    -- What may be said of a call whose runtime another caller unloads.
    local function is_gone(err)
        return err == "unloaded"
    end

    local function call(app, opts, method, request)
        for _ = 1, 100 do
            local rt = load(app, opts)
            local ok, res, err = rt[method](rt, request)
            if ok or not is_gone(res) then
                return ok, res, err
            end
        end
        return false, "unloaded a hundred times"
    end
"""

LUA = {
    "/echo": """
        local threads = {}
        for i = 1, 10 do
            threads[i] = ngx.thread.spawn(call, "echo", nil, "echo", args.id .. "-" .. i)
        end
        for i = 1, 10 do
            local _, ok, res, err = ngx.thread.wait(threads[i])
            if not ok or res ~= args.id .. "-" .. i then
                return tostring(res), err
            end
        end
        return "right"
    """,
    "/fail": """
        local ok, rc, err = call("fail", nil, "fail", "3:" .. args.id)
        return not ok and rc ~= 0 and tostring(err):find(args.id, 1, true) and "right" or err
    """,
    "/big": """
        local ok, res, err = call("big", {unpin = true}, "get", "50000")
        return ok and #res == 50000 and "right" or tostring(err or res)
    """,
    "/unload": 'return load("echo"):__unload(10) and "right"',
    "/forget": 'return load("big", {unpin = true}):__unload() and "right"',
    "/reload": """
        local ok, err = load("echo"):__reload()
        return (ok or is_gone(err)) and "right" or err
    """,
    "/reload_all": """
        local libraries = {c = "echo", python = "ffi_python3", java = "ffi_java"}
        local workers, err = require("resty.ffi").reload(libraries[args.lang] or "echo")
        return (workers or err == "shutting down") and "right" or err
    """,
    "/timeout": """
        local rt = ngx.load_ffi("told", args.id)
        local _, err = rt:hold("x", {timeout = 0.01})
        rt:finish()
        rt:__unload()
        return err == "timeout" and "right" or err
    """,
    "/kill": """
        local threads = {}
        for i = 1, 10 do
            threads[i] = ngx.thread.spawn(call, "echo", nil, "echo", args.id)
        end
        for i = 1, 10 do
            ngx.thread.kill(threads[i])
        end
        return "right"
    """,
}

LOCATIONS = [path for path in LUA for _ in range(20 if path == "/echo" else 2)]


class Schedule:
    """What one client does, and no other one with the same number and seed."""

    def __init__(self, nginx, number):
        self._nginx = nginx
        self._random = random.Random(f"{SEED} {number}")
        self._number = number
        self.lost = 0

    def step(self, count):
        path = self._random.choice(LOCATIONS)
        lang = self._random.choice(LANGUAGES)
        leaves = self._random.random() < 0.05
        target = f"{path}?lang={lang}&id={self._number}-{count}"
        if leaves:
            with self._nginx.connect(target):
                return
        try:
            assert self._nginx.values(target) == ["right"], f"{target}, seed {SEED}"
        except requests.ConnectionError:
            self.lost += 1

    def run(self, end):
        count = 0
        while time.monotonic() < end:
            self.step(count)
            count += 1
        return count


class Trouble:
    """What the operator, and fate, do to nginx."""

    def __init__(self, nginx):
        self._nginx = nginx
        self._random = random.Random(f"{SEED} trouble")
        self._killed = time.monotonic()
        self.kills = 0

    def run(self, end):
        while time.monotonic() < end:
            time.sleep(self._random.uniform(0.1, 1.0))
            self._random.choice([self._hup, self._hup, self._reopen, self._kill])()

    def _hup(self):
        self._nginx.reload()

    def _reopen(self):
        self._nginx.signal("USR1")

    def _kill(self):
        if time.monotonic() < self._killed + KILL_EVERY:
            return
        self._killed = time.monotonic()
        self._nginx.signal("KILL", self._random.choice(self._nginx.workers()))
        self.kills += 1


def test_random_schedule(server, figure):
    print(f"RESTY_FFI_SEED={SEED}")
    nginx = server(
        workers=2,
        prelude=PRELUDE,
        lua=LUA,
        http="lua_ffi_shutdown_timeout 60s; lua_socket_log_errors off;",
        server="lua_check_client_abort on;",
    )
    for lang in LANGUAGES:
        assert nginx.values(f"/echo?lang={lang}&id=first") == ["right"]
    schedules = [Schedule(nginx, number) for number in range(CLIENTS)]
    trouble = Trouble(nginx)
    end = time.monotonic() + SECONDS
    with ThreadPoolExecutor(CLIENTS + 1) as threads:
        running = [threads.submit(schedule.run, end) for schedule in schedules]
        trouble.run(end)
        steps = [future.result() for future in running]
    lost = sum(schedule.lost for schedule in schedules)
    figure(f"seed {SEED}, {sum(steps)} steps, {trouble.kills} workers killed, {lost} lost by it")
    assert all(steps)
    if trouble.kills:
        nginx.expect_log("exited on signal 9")
    else:
        assert lost == 0
