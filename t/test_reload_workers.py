"""require("resty.ffi").reload(): all workers reload, and say how they got on."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from harness import library
from harness.wait import wait_for

WORKERS = 2

STATES = """
    local workers, err = require("resty.ffi").reload(%s)
    if not workers then
        return nil, err
    end
    local states = {}
    for i, worker in ipairs(workers) do
        states[i] = worker.state
    end
    return unpack(states)
"""

ENDPOINT = """
    location /ffi/reload {
        content_by_lua_block { require("resty.ffi").serve_reload() }
    }
"""


def everywhere(load):
    return f"init_worker_by_lua_block {{ package.loaded.held = assert({load}) }}"


def of_all(nginx, path):
    """What each worker answers, by its pid; the location's Lua returns that first."""
    answers = {}

    def asked():
        pid, *values = nginx.values(path)
        answers[pid] = values
        return len(answers) == len(nginx.workers())

    wait_for(asked)
    return list(answers.values())


VERSIONS = {
    "/": "return ngx.worker.pid(), package.loaded.held:get()",
    "/reload": 'return require("resty.ffi").reload("version")',
}


def test_every_worker_reloads(server, tmp_path):
    library.build("version", tmp_path)
    nginx = server(
        workers=WORKERS,
        library_path=[tmp_path],
        http=everywhere('ngx.load_ffi("version")'),
        lua=VERSIONS,
    )
    library.replace("version", tmp_path, {"VERSION": "2"})
    (workers,) = nginx.values("/reload")
    assert [worker["state"] for worker in workers] == ["reloaded"] * WORKERS
    assert sorted(worker["pid"] for worker in workers) == nginx.workers()
    assert of_all(nginx, "/") == [[True, "2"]] * WORKERS


def test_worker_that_does_not_run_it_says_so(server):
    """In each, whichever of them is asked."""
    nginx = server(
        workers=WORKERS,
        http="""init_worker_by_lua_block {
            if ngx.worker.id() == 0 then
                package.loaded.held = assert(ngx.load_ffi("echo"))
            end
        }""",
        lua=STATES % '"echo"',
    )
    assert nginx.values() == ["reloaded", "not loaded"]


def test_worker_says_why_it_keeps_what_it_runs(server):
    nginx = server(
        http=everywhere('ngx.load_ffi("slow_start", "a")'),
        start=False,
        lua={
            "/": 'return require("resty.ffi").reload("slow_start")',
            "/call": "return package.loaded.held:get()",
        },
    )
    start(nginx)
    nginx.expect_log("failed to reload, what it ran goes on: not today")
    reloading = nginx.begin()
    nginx.gate.wait().open("not today")
    ((worker,),) = reloading.result()
    assert (worker["state"], worker["kept"]) == ("kept", 1)
    assert worker["runtimes"] == [{"name": "slow_start", "error": "not today"}]
    assert nginx.values("/call") == [True, "ready"]


def start(nginx, times=1):
    """An nginx whose workers wait at the gate before they start."""
    with ThreadPoolExecutor() as threads:
        starting = threads.submit(nginx.start)
        for held in nginx.gate.wait_for(times):
            held.open()
        starting.result()


def test_reload_is_of_all_configurations(server):
    nginx = server(
        http="""init_worker_by_lua_block {
            package.loaded.held = {ngx.load_ffi("serial", "a"), ngx.load_ffi("serial?", "b,c"),
                                   ngx.load_ffi("serial")}
        }""",
        lua='return require("resty.ffi").reload("serial")[1]',
    )
    (worker,) = nginx.values()
    assert sorted(runtime["name"] for runtime in worker["runtimes"]) == [
        "serial",
        "serial",
        "serial?",
    ]


def test_reload_is_of_one_configuration(server):
    nginx = server(
        http="""init_worker_by_lua_block {
            package.loaded.held = {ngx.load_ffi("serial", "a"), ngx.load_ffi("serial", "b")}
        }""",
        lua="""
            require("resty.ffi").reload("libserial.so", "b")
            local _, a = package.loaded.held[1]:get()
            local _, b = package.loaded.held[2]:get()
            return a, b
        """,
    )
    assert nginx.values() == ["1", "3"]


def test_worker_that_is_killed_meanwhile_has_exited(server):
    nginx = server(
        workers=WORKERS,
        start=False,
        http="""init_worker_by_lua_block {
            if ngx.worker.id() == 1 and not ngx.shared.kept:get("again") then
                ngx.shared.kept:set("again", "[]")
                package.loaded.held = assert(ngx.load_ffi("slow_start"))
            end
            require("harness").keep("pid " .. ngx.worker.id(), ngx.worker.pid())
        }""",
        lua='if ngx.worker.id() == 1 then return "again" end ' + STATES % '"slow_start"',
    )
    start(nginx)
    (second,) = nginx.kept("pid 1")
    with ThreadPoolExecutor() as threads:
        reloading = threads.submit(
            wait_for, lambda: [state for state in nginx.values() if state != "again"]
        )
        nginx.gate.wait()
        nginx.expect_log(f"worker process {second} exited on signal 9")
        nginx.signal("KILL", second)
        assert reloading.result() == ["not loaded", "exited"]


def test_worker_that_takes_too_long_has_not_answered(server):
    nginx = server(
        http=everywhere('ngx.load_ffi("slow_start")'),
        start=False,
        lua=STATES % '"slow_start", nil, 0.3',
    )
    start(nginx)
    reloading = nginx.begin()
    held = nginx.gate.wait()
    assert reloading.result() == ["no answer"]
    held.open()


def test_reload_of_a_library_that_still_loads_follows_its_load(server):
    nginx = server(
        lua={"/load": 'return ngx.load_ffi("slow_start"):get()', "/": STATES % '"slow_start"'}
    )
    loading = nginx.begin("/load")
    held = nginx.gate.wait()
    reloading = nginx.begin()
    held.open()
    nginx.gate.wait().open()
    assert loading.result() == [True, "ready"]
    assert reloading.result() == ["reloaded"]


def test_workers_of_a_new_configuration_reload(server):
    nginx = server(workers=WORKERS, http=everywhere('ngx.load_ffi("echo")'), lua=STATES % '"echo"')
    nginx.reload()
    assert nginx.values() == ["reloaded"] * WORKERS


def test_process_without_a_master_reloads(server):
    nginx = server(main="master_process off;", workers=0, lua=STATES % '"echo"')
    nginx.log.wait("event method")
    assert nginx.values() == ["not loaded"]


def test_workers_that_are_no_more_are_not_asked(server):
    nginx = server(workers=WORKERS, http=everywhere('ngx.load_ffi("echo")'), lua=STATES % '"echo"')
    conf = nginx.folder / "nginx.conf"
    conf.write_text(conf.read_text().replace(f"worker_processes {WORKERS};", "worker_processes 1;"))
    nginx.config.workers = 1
    nginx.reload()
    assert nginx.values() == ["reloaded"]


def test_thousand_orders_leave_nothing_behind(server):
    nginx = server(
        workers=WORKERS,
        http=everywhere('ngx.load_ffi("echo")'),
        lua="""
            local ffi = require("resty.ffi")
            for i = 1, 1000 do
                local workers, err = ffi.reload("nothing" .. i)
                if not workers then
                    return err
                end
            end
            return "done"
        """,
    )
    assert nginx.values() == ["done"]


def test_callers_that_are_killed_leave_nothing_behind(server):
    nginx = server(
        http=everywhere('ngx.load_ffi("echo")'),
        lua="""
            local ffi = require("resty.ffi")
            for i = 1, 100 do
                ngx.thread.kill(ngx.thread.spawn(ffi.reload, "echo"))
            end
            return #ffi.reload("echo")
        """,
    )
    assert nginx.values() == [1]


def test_too_many_orders_at_once_are_refused(server):
    nginx = server(
        lua="""
            local ffi = require("resty.ffi")
            local threads, errors = {}, {}
            for i = 1, 100 do
                threads[i] = ngx.thread.spawn(ffi.reload, "x", ("y"):rep(10000))
            end
            for i = 1, 100 do
                local _, _, err = ngx.thread.wait(threads[i])
                errors[err or "none"] = true
            end
            return errors["no shared memory for the order: wait until others are done"],
                   #ffi.reload("x")
        """
    )
    assert nginx.values() == [True, 1]


# ---- the endpoint


def post(nginx, arguments):
    response = nginx.post(f"/ffi/reload?{arguments}")
    return response.status_code, response.json()


def test_endpoint_reloads(server):
    nginx = server(
        workers=WORKERS,
        http=everywhere('ngx.load_ffi("serial", "\\"x\\"")'),
        server=ENDPOINT,
        lua="return",
    )
    status, answer = post(nginx, "library=serial&cfg=%22x%22")
    assert status == 200
    assert answer == {
        "workers": [
            {
                "id": number,
                "pid": pid,
                "state": "reloaded",
                "reloaded": 1,
                "kept": 0,
                "runtimes": [{"name": "serial"}],
            }
            for number, pid in enumerate(nginx.workers())
        ]
    }


def test_endpoint_says_what_failed(server):
    nginx = server(
        http=everywhere('ngx.load_ffi("slow_start")'), start=False, server=ENDPOINT, lua="return"
    )
    start(nginx)
    nginx.expect_log("failed to reload")
    with ThreadPoolExecutor() as threads:
        posting = threads.submit(post, nginx, "library=slow_start")
        nginx.gate.wait().open('say "no"')
        status, answer = posting.result()
    assert (status, answer["workers"][0]["runtimes"][0]["error"]) == (500, 'say "no"')


@pytest.mark.parametrize(
    ("arguments", "status"),
    [("library=nothing", 404), ("", 400), ("library", 400), ("library=a&library=b", 400)],
)
def test_endpoint_refuses(server, arguments, status):
    nginx = server(server=ENDPOINT, lua="return")
    assert post(nginx, arguments)[0] == status


def test_endpoint_wants_a_post(server):
    nginx = server(server=ENDPOINT, lua="return")
    response = nginx.get("/ffi/reload?library=echo")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")


# ---- misuse


def test_reload_without_a_library_raises(server):
    nginx = server(lua='return pcall(require("resty.ffi").reload)')
    ok, err = nginx.values()
    assert not ok
    assert err.endswith("library must be the name or path of a library")


def test_reload_in_the_master_says_so(server):
    nginx = server(
        http="""init_by_lua_block {
            require("harness").keep("it", require("resty.ffi").reload("echo"))
        }"""
    )
    (_, err) = nginx.kept("it")
    assert err.startswith("no library can be loaded before the worker has started")


# ---- the command


def command(*arguments):
    """Its status and output."""
    done = subprocess.run(
        [Path(sys.executable).with_name("resty-ffi"), "reload", *arguments],
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_command_reloads(server):
    nginx = server(
        workers=WORKERS, http=everywhere('ngx.load_ffi("echo")'), server=ENDPOINT, lua="return"
    )
    status, output = command("echo", "--url", f"{nginx.url}/ffi/reload")
    lines = [f"worker {n} ({pid}): reloaded echo\n" for n, pid in enumerate(nginx.workers())]
    assert (status, output) == (0, "".join(lines))


def test_command_reaches_a_socket(server, tmp_path):
    nginx = server(
        http=everywhere('ngx.load_ffi("echo", "a b")')
        + f"server {{ listen unix:{tmp_path}/control; {ENDPOINT} }}",
        lua="return",
    )
    assert command("echo", "a b", "--url", f"unix:{tmp_path}/control:/ffi/reload") == (
        0,
        f"worker 0 ({nginx.worker}): reloaded echo\n",
    )


def test_command_says_that_nobody_runs_it(server):
    nginx = server(server=ENDPOINT, lua="return")
    status, output = command("echo", "cfg", "--url", f"{nginx.url}/ffi/reload")
    assert status == 1
    assert "resty-ffi: no worker runs echo with 'cfg'\n" in output


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/x", "Connection refused"),
        ("ftp://x", "a URL is http://..., https://... or unix:/socket:/location"),
        ("unix:/nowhere:/x", "No such file or directory"),
    ],
)
def test_command_says_why_it_cannot_ask(url, reason):
    status, output = command("echo", "--url", url)
    assert (status, output.startswith(f"resty-ffi: {url}: ")) == (1, True)
    assert reason in output


def test_command_says_what_the_location_lacks(server):
    nginx = server(lua="return 1")
    status, output = command("echo", "--url", nginx.url)
    assert status == 1
    assert "HTTP 200, but not from resty-ffi: the location needs" in output
