"""What is counted of runtimes and calls, and what becomes of it."""

import time

import pytest
from harness import library
from harness.load import load
from harness.status import LOCATION, runtime, status, worker
from harness.wait import wait_for

STAGES = ("queue", "guest", "loop")


@pytest.fixture
def counted(server):
    """Starts a server with a status."""

    def start(**options):
        options["server"] = LOCATION + options.get("server", "")
        return server(**options)

    return start


# ---- calls


def test_calls_and_bytes_are_counted(counted):
    nginx = counted(
        lua="""
            local rt = ngx.load_ffi("echo")
            rt:echo("12345")
            rt:echo("")
            rt:echo()
        """
    )
    nginx.values()
    echo = worker(nginx, "echo")
    assert (echo["calls"], echo["request_bytes"], echo["response_bytes"]) == (3, 5, 5)
    assert set(echo["failures"].values()) == {0}
    assert echo["error"] is None


def test_times_of_each_call_are_taken_when_there_are_few(counted):
    nginx = counted(lua='return ngx.load_ffi("echo"):echo("")')
    for _ in range(10):
        nginx.values()
    seconds = worker(nginx, "echo")["seconds"]
    assert {stage: seconds[stage]["count"] for stage in seconds} == dict.fromkeys(STAGES, 10)
    assert all(0 < seconds[stage]["sum"] < 60 for stage in STAGES)


def test_times_of_many_calls_stand_for_the_others(counted):
    calls = 200_000
    nginx = counted(
        lua=f"""
            local rt = ngx.load_ffi("echo")
            local threads = {{}}
            for i = 1, 64 do
                threads[i] = ngx.thread.spawn(function()
                    for _ = 1, {calls // 64} do
                        rt:echo("")
                    end
                end)
            end
            for _, thread in ipairs(threads) do
                ngx.thread.wait(thread)
            end
        """
    )
    nginx.values()
    echo = worker(nginx, "echo")
    assert echo["calls"] == calls
    assert 0.7 * calls < echo["seconds"]["guest"]["count"] < 1.3 * calls


def test_time_in_the_guest_is_told_from_time_in_the_queue(counted):
    nginx = counted(lua='return ngx.load_ffi("gate"):block("x")')
    first = nginx.begin()
    held = nginx.gate.wait()
    second = nginx.begin()
    wait_for(lambda: worker(nginx, "gate")["queue_depth"] == 1)
    since = time.monotonic()
    assert worker(nginx, "gate")["unanswered_calls"] == 2
    least = time.monotonic() - since
    held.open()
    nginx.gate.wait().open()
    assert first.result()[0]
    assert second.result()[0]
    gate = worker(nginx, "gate")
    assert gate["queue_depth"] == gate["unanswered_calls"] == 0
    assert gate["queue_depth_peak"] >= 1
    assert gate["seconds"]["queue"]["sum"] >= least
    assert gate["seconds"]["guest"]["sum"] >= least


# ---- failures


def test_error_of_the_library_is_counted_and_kept(counted):
    nginx = counted(lua='return ngx.load_ffi("fail"):fail("3:why not")')
    assert nginx.values() == [False, 3, "why not"]
    fail = worker(nginx, "fail")
    assert fail["failures"]["library"] == 1
    assert fail["error"]["message"] == "why not"
    assert fail["error"]["time"] > 1_700_000_000


def test_long_error_is_cut(counted):
    nginx = counted(lua='return #select(3, ngx.load_ffi("fail"):fail("3:" .. ("x"):rep(5000)))')
    assert nginx.values() == [5000]
    assert worker(nginx, "fail")["error"]["message"] == "x" * 255


def test_timeout_is_counted(counted):
    nginx = counted(lua='return ngx.load_ffi("gate"):watch("x", {timeout = 0.3})')
    assert nginx.values() == [False, "timeout"]
    nginx.gate.wait().open()
    gate = worker(nginx, "gate")
    assert (gate["calls"], gate["failures"]["timeout"], gate["abandoned"]) == (1, 1, 0)


def test_full_queue_is_counted(counted):
    nginx = counted(
        lua={
            "/": 'return ngx.load_ffi("gate", nil, {max_queue = 1}):wait("x")',
        }
    )
    first = nginx.begin()
    held = nginx.gate.wait()
    assert nginx.values() == [False, "queue full"]
    held.open()
    assert first.result()[0]
    gate = worker(nginx, "gate")
    assert (gate["calls"], gate["failures"]["queue_full"]) == (2, 1)


def test_call_where_nothing_can_wait_is_counted(counted):
    nginx = counted(
        lua="""
            local rt = ngx.load_ffi("echo")
            local result
            ("x"):gsub("x", function() result = rt:echo("") end)
            return result
        """
    )
    assert nginx.values() == [False]
    assert worker(nginx, "echo")["failures"]["refused"] == 1


def test_calls_of_a_runtime_that_ends_are_counted(counted):
    nginx = counted(
        lua="""
            local rt = ngx.load_ffi("echo")
            rt:__unload(10)
            return rt:echo("")
        """
    )
    assert nginx.values() == [False, "unloaded"]
    echo = worker(nginx, "echo")
    assert (echo["calls"], echo["failures"]["unloaded"], echo["state"]) == (1, 1, "unloaded")


def test_calls_of_a_runtime_that_died_are_counted(counted):
    nginx = counted(lua='return ngx.load_ffi("quitter"):vanish("")')
    nginx.expect_log('"quitter" died')
    assert nginx.values()[0] is False
    quitter = worker(nginx, "quitter")
    assert (quitter["failures"]["died"], quitter["state"]) == (1, "dead")


def test_client_that_leaves_is_counted_before_its_call_is_answered(counted):
    nginx = counted(
        server="lua_check_client_abort on;", lua='return ngx.load_ffi("gate"):wait("x")'
    )
    with nginx.connect():
        held = nginx.gate.wait()
    wait_for(lambda: worker(nginx, "gate")["abandoned"] == 1)
    held.open()
    wait_for(lambda: worker(nginx, "gate")["unanswered_calls"] == 0)
    gate = worker(nginx, "gate")
    assert (gate["calls"], gate["abandoned"]) == (1, 1)
    assert set(gate["failures"].values()) == {0}


# ---- runtimes


def test_failed_load_is_counted(counted):
    nginx = counted(lua='return ngx.load_ffi("fail_init", "out of order")')
    nginx.expect_log("failed to load: out of order")
    nginx.values()
    fail = worker(nginx, "fail_init")
    assert (fail["state"], fail["loads"], fail["failed_loads"]) == ("failed", 0, 1)
    assert fail["error"]["message"] == "out of order"


def test_load_that_hangs_is_seen(counted):
    nginx = counted(lua='return ngx.load_ffi("slow_start"):get()')
    call = nginx.begin()
    held = nginx.gate.wait()
    assert worker(nginx, "slow_start")["state"] == "loading"
    held.open()
    assert call.result() == [True, "ready"]
    assert worker(nginx, "slow_start")["state"] == "ready"


def test_reloads_and_recycles_are_counted(counted):
    nginx = counted(
        lua={
            "/reload": 'return ngx.load_ffi("serial"):__reload()',
            "/recycle": 'return ngx.load_ffi("serial", "x", {max_requests = 1}):get()',
        }
    )
    assert nginx.values("/reload") == [True]
    nginx.values("/recycle")
    wait_for(lambda: nginx.log.find("is reloaded")[1:])
    first, second = status(nginx)["runtimes"]
    assert {first["configuration"], second["configuration"]} == {"", "***"}
    reloaded, recycled = (one["workers"][0] for one in (first, second))
    if first["configuration"]:
        reloaded, recycled = recycled, reloaded
    assert (reloaded["loads"], reloaded["reloads"], reloaded["recycles"]) == (2, 1, 0)
    assert (recycled["loads"], recycled["reloads"], recycled["recycles"]) == (2, 0, 1)


def test_threads_are_counted(counted):
    nginx = counted(lua='return ngx.load_ffi("pollers", "3") ~= nil')
    assert nginx.values() == [True]
    wait_for(lambda: worker(nginx, "pollers")["pollers"] == 3)
    assert worker(nginx, "pollers")["threads"] == 3


def test_stuck_runtime_is_seen(counted):
    nginx = counted(lua='return ngx.load_ffi("gate", nil, {stuck_after = 0.1}):block("x")')
    calls = [nginx.begin() for _ in range(2)]
    held = nginx.gate.wait()
    wait_for(lambda: worker(nginx, "gate")["state"] == "stuck")
    held.open()
    nginx.gate.wait().open()
    assert all(call.result()[0] for call in calls)
    wait_for(lambda: worker(nginx, "gate")["state"] == "ready")


@pytest.mark.parametrize(("unpin", "left"), [("false", 2), ("true", 1)])
def test_copies_of_a_library_are_counted(counted, tmp_path, unpin, left):
    library.replace("version", tmp_path, {"VERSION": "1"})
    nginx = counted(
        library_path=[tmp_path],
        lua={
            "/": f"return ngx.load_ffi('version', nil, {{unpin = {unpin}}}) ~= nil",
            "/reload": "return ngx.load_ffi('version'):__reload()",
            "/unload": "return ngx.load_ffi('version'):__unload(10)",
        },
    )
    nginx.values()
    assert worker(nginx, "version")["library_copies"] == 1
    library.replace("version", tmp_path, {"VERSION": "2"})
    assert nginx.values("/reload") == [True]
    wait_for(lambda: worker(nginx, "version")["runtimes"] == 1)
    assert worker(nginx, "version")["library_copies"] == left
    assert nginx.values("/unload") == [True]
    assert worker(nginx, "version")["library_copies"] == left - (unpin == "true")


# ---- workers


def test_each_worker_has_its_own_numbers(counted):
    nginx = counted(
        workers=2,
        http='init_worker_by_lua_block { package.loaded.it = ngx.load_ffi("echo") }',
        lua='package.loaded.it:echo("") return ngx.worker.id()',
    )
    made = {0: 0, 1: 0}
    while not all(made.values()):
        made[nginx.values()[0]] += 1
    echo = runtime(nginx, "echo")
    assert {one["worker"]: one["calls"] for one in echo["workers"]} == made
    assert sorted(one["pid"] for one in echo["workers"]) == nginx.workers()


ECHO = 'return ngx.load_ffi("echo"):echo("x")'


def test_numbers_survive_a_reload_of_nginx(counted):
    nginx = counted(lua=ECHO)
    for calls in (1, 2, 3, 4):
        assert nginx.values() == [True, "x"]
        echo = worker(nginx, "echo")
        assert (echo["calls"], echo["loads"]) == (calls, calls)
        assert (echo["state"], echo["pid"]) == ("ready", nginx.worker)
        nginx.reload()


def test_numbers_of_a_worker_that_still_ends_are_added_up(counted):
    nginx = counted(
        lua={"/": ECHO, "/wait": 'return ngx.load_ffi("gate"):wait("x")'},
    )
    waiting = nginx.begin("/wait")
    held = nginx.gate.wait()
    nginx.values()
    nginx.reload()
    nginx.values()
    assert worker(nginx, "echo")["calls"] == 2
    assert worker(nginx, "gate")["unanswered_calls"] == 1
    held.open()
    assert waiting.result()[0]
    wait_for(lambda: not nginx.shutting_down())
    assert worker(nginx, "echo")["calls"] == 2
    assert worker(nginx, "gate")["unanswered_calls"] == 0


def test_numbers_survive_a_worker_that_is_killed(counted):
    nginx = counted(lua={"/": ECHO, "/wait": 'return ngx.load_ffi("gate"):wait("x")'})
    nginx.expect_log("exited on signal 9")
    nginx.values()
    waiting = nginx.submit(lambda nginx: nginx.connect("/wait").recv(1))
    nginx.gate.wait()
    old = nginx.worker
    nginx.signal("KILL", old)
    assert waiting.result() == b""
    wait_for(lambda: nginx.workers() not in ([], [old]))
    gate = worker(nginx, "gate")
    assert (gate["calls"], gate["unanswered_calls"], gate["threads"]) == (1, 0, 0)
    assert gate["state"] == "unloaded"
    nginx.values()
    assert worker(nginx, "echo")["calls"] == 2


def test_what_a_killed_worker_was_doing_is_over(counted):
    """Nobody comes in the place of a worker that was to end."""
    nginx = counted(lua='return ngx.load_ffi("gate"):wait("x")')
    nginx.expect_log("exited on signal 9")
    waiting = nginx.submit(lambda nginx: nginx.connect().recv(1))
    nginx.gate.wait()
    nginx.reload()
    assert worker(nginx, "gate")["unanswered_calls"] == 1
    (old,) = nginx.shutting_down()
    nginx.signal("KILL", old)
    assert waiting.result() == b""
    wait_for(lambda: worker(nginx, "gate")["unanswered_calls"] == 0)
    assert worker(nginx, "gate")["calls"] == 1


def counted_calls(nginx):
    echo = runtime(nginx, "echo")
    return {one["worker"]: one["calls"] for one in echo["workers"]} if echo else {}


def test_each_call_is_counted_once_while_nginx_is_reloaded(counted):
    nginx = counted(workers=2, lua=ECHO)
    with load(nginx) as seen:
        for _ in range(10):
            enough = len(seen.answers) + 8
            nginx.reload()
            wait_for(lambda enough=enough: len(seen.answers) > enough)
    assert seen.errors == []
    wait_for(lambda: not nginx.shutting_down())
    assert sum(counted_calls(nginx).values()) == len(seen.answers)


def test_no_number_goes_back_while_workers_die(counted):
    nginx = counted(workers=2, lua=ECHO)
    nginx.expect_log("exited on signal 9")
    last = {}
    with load(nginx) as seen:
        for step in range(30):
            enough = len(seen.answers) + 8
            if step % 5 == 0:
                nginx.signal("KILL", nginx.workers()[0])
            wait_for(lambda enough=enough: len(seen.answers) > enough)
            try:
                now = counted_calls(nginx)
            except OSError:
                # The worker that was asked has died.
                continue
            assert all(now[one] >= calls for one, calls in last.items())
            last = now
    assert sum(last.values()) > 0


# ---- memory

FEW = "lua_ffi_metrics 32k;"

MANY = """
    for i = 1, 40 do
        local rt = ngx.load_ffi("echo", tostring(i))
        rt:echo("")
        KEEP
    end
"""


def test_runtime_that_is_gone_leaves_its_place(counted):
    nginx = counted(http=FEW, lua=MANY.replace("KEEP", "rt:__unload(10)") + "return 1")
    assert nginx.values() == [1]
    now = status(nginx)
    assert now["untracked_runtimes"] == 0
    assert 5 < len(now["runtimes"]) < 40
    assert {one["workers"][0]["calls"] for one in now["runtimes"]} == {1}


def test_call_of_a_runtime_without_a_place_works(counted):
    nginx = counted(http=FEW, lua=MANY.replace("KEEP", "") + "return 1")
    assert nginx.values() == [1]
    now = status(nginx)
    assert now["untracked_runtimes"] == 40 - len(now["runtimes"])
    assert len(nginx.log.find("no room for the metrics of runtime")) == 1


def test_metrics_can_be_switched_off(counted):
    nginx = counted(http="lua_ffi_metrics off;", lua=ECHO)
    assert nginx.values() == [True, "x"]
    assert status(nginx)["runtimes"] == []


def test_metrics_can_be_switched_on_by_a_reload(counted):
    nginx = counted(http="lua_ffi_metrics off;", lua=ECHO)
    nginx.values()
    config = nginx.folder / "nginx.conf"
    text = config.read_text()
    for size, calls in (("1m", 1), ("2m", 1), ("2m", 2)):
        config.write_text(text.replace("lua_ffi_metrics off", f"lua_ffi_metrics {size}"))
        nginx.reload()
        nginx.values()
        assert worker(nginx, "echo")["calls"] == calls


@pytest.mark.parametrize("value", ["on", "0", "-1", "1k", "16k", "x"])
def test_directive_wants_a_size(server, value):
    nginx = server(start=False, http=f"lua_ffi_metrics {value};")
    result = nginx.check_config()
    assert result.returncode != 0
    assert '"lua_ffi_metrics" must be "off" or a size, 32k at least' in result.stderr
