"""Libraries made with sdk/rust: panics, errors, what a call tells, what is logged."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from harness.wait import wait_for

LUA = {
    "/": """
        local args = ngx.req.get_uri_args()
        local rt, err = ngx.load_ffi(args.lib, args.cfg)
        if not rt then
            return nil, err
        end
        return rt[args.method](rt, args.request, {timeout = tonumber(args.timeout)})
    """,
    "/unload": """
        local args = ngx.req.get_uri_args()
        return ngx.load_ffi(args.lib, args.cfg):__unload(10)
    """,
    "/other": "return 1",
}

ROOMY = 8 << 40
"""Bytes for a stack, of which an address space has room for some 15."""

FLAVOURS = ["threads", "tokio", "tokio with threads"]


@pytest.fixture
def nginx(server):
    return server(lua=LUA, server="lua_ffi_request_id $http_x_id; lua_check_client_abort on;")


def path(lib, method="", request="", verb="", **args):
    args = {"lib": lib, "method": method, "request": request, **args}
    return f"/{verb}?" + "&".join(f"{name}={quote(value)}" for name, value in args.items())


# ---- panics and errors


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("panic", "panicked: out of luck"),
        ("panic_with_a_number", "panicked: the payload is no text"),
        ("panic_with_a_bomb", "panicked: the payload is no text"),
    ],
)
def test_panic_is_an_error_of_its_call(nginx, flavour, method, message):
    for _ in range(3):
        assert nginx.values(path("rust_misuse", method, cfg=flavour)) == [False, 1, message]
    assert nginx.values(path("rust_misuse", "alive", cfg=flavour)) == [True, "fine"]


def test_panic_is_logged_with_its_place_and_the_request(nginx):
    nginx.get(path("rust_misuse", "panic", cfg="threads"), headers={"X-Id": "r-1"})
    place = r"panicked at t/apps/rust/rust_misuse/src/lib\.rs:\d+:\d+: out of luck"
    nginx.log.wait(rf'\[error\].*runtime "rust_misuse", request "r-1": {place}')


def test_panic_is_logged_with_a_backtrace_when_asked_for(server):
    nginx = server(lua=LUA, env={"RUST_BACKTRACE": "1"})
    nginx.values(path("rust_misuse", "panic", cfg="threads"))
    nginx.log.wait(r"rust_misuse::misbehave")


@pytest.mark.parametrize("flavour", FLAVOURS[1:])
@pytest.mark.parametrize(
    ("method", "answer"),
    [
        ("panic_later", [False, 1, "panicked: out of luck"]),
        ("panic_in_drop_at_once", [False, 1, "panicked: at once"]),
    ],
)
def test_panic_in_a_future_is_an_error_of_its_call(nginx, flavour, method, answer):
    for _ in range(3):
        assert nginx.values(path("rust_misuse", method, cfg=flavour)) == answer
    assert nginx.values(path("rust_misuse", "alive", cfg=flavour)) == [True, "fine"]


@pytest.mark.parametrize("flavour", FLAVOURS[1:])
def test_panic_in_the_drop_of_an_abandoned_future_does_no_harm(nginx, flavour):
    call = path("rust_misuse", "panic_in_drop", cfg=flavour, timeout="0.05")
    assert nginx.values(call) == [False, "timeout"]
    nginx.log.wait("in the future's drop")
    assert nginx.values(path("rust_misuse", "alive", cfg=flavour)) == [True, "fine"]


@pytest.mark.parametrize(
    ("cfg", "why"),
    [
        ("threads start", "panicked: in the start"),
        ("tokio start", "panicked: in the start"),
        ("tokio factory", "panicked: in the factory"),
        ("threads refuse", "refused"),
        ("tokio refuse", "refused"),
        ("threads none", "a service needs one thread at least"),
        ("tokio none", "a service needs one thread at least"),
    ],
)
def test_failed_start_is_an_error_of_the_load(nginx, cfg, why):
    before = nginx.usage().threads
    assert nginx.values(path("rust_misuse", "alive", cfg=cfg)) == [None, why]
    wait_for(lambda: nginx.usage().threads == before)


@pytest.mark.no_asan("which has no room for such stacks")
@pytest.mark.parametrize("flavour", FLAVOURS[:2])
def test_threads_that_cannot_be_started_are_an_error_of_the_load(server, flavour):
    nginx = server(lua=LUA, env={"RUST_MIN_STACK": str(ROOMY)})
    before = nginx.usage().threads
    runtime, why = nginx.values(path("rust_misuse", cfg=f"{flavour} many"))
    assert runtime is None
    assert "Resource temporarily unavailable" in why
    wait_for(lambda: nginx.usage().threads == before)


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("where", ["close", "drop"])
def test_panic_at_the_end_is_logged(nginx, flavour, where):
    cfg = f"{flavour} {where}"
    assert nginx.values(path("rust_misuse", "alive", cfg=cfg)) == [True, "fine"]
    unloading = nginx.begin(path("rust_misuse", cfg=cfg, verb="unload"))
    if where == "drop":
        nginx.gate.wait().open()
    assert unloading.result() == [True]
    nginx.log.wait(rf'runtime "rust_misuse": panicked at .*in the {where}')


@pytest.mark.parametrize("rc", [2, -1, 2147483647, -2147483648])
def test_error_has_its_rc_and_message(nginx, rc):
    fail = path("rust_misuse", "fail", str(rc), cfg="threads")
    assert nginx.values(fail) == [False, rc, "out of luck"]
    alone = path("rust_misuse", "fail_with_rc_alone", str(rc), cfg="threads")
    assert nginx.values(alone) == [False, rc]


def test_rc_of_success_is_an_error(nginx):
    fail = path("rust_misuse", "fail", "0", cfg="threads")
    why = "panicked: an error's rc must be a number other than 0"
    assert nginx.values(fail) == [False, 1, why]


def test_error_of_the_standard_library_is_one_of_the_call(nginx):
    answer = nginx.values(path("rust_misuse", "open", "/nowhere", cfg="threads"))
    assert answer == [False, 1, "No such file or directory (os error 2)"]


# ---- what a call tells


@pytest.mark.parametrize(
    "cfg", [b"", b"plain", b'{"a": [1, null, "\xc3\xa9"]}', b"\xff\x80", b"x" * 9000]
)
def test_configuration_arrives_as_it_is(server, cfg):
    nginx = server(
        lua="""
            local cfg = io.open(ngx.config.prefix() .. "cfg", "rb"):read("*a")
            local ok, got = ngx.load_ffi("rust_inspect", cfg):cfg()
            return ok, got == cfg
        """
    )
    (nginx.folder / "cfg").write_bytes(cfg)
    assert nginx.values() == [True, True]


def test_no_configuration_is_none(server):
    assert server(lua='return ngx.load_ffi("rust_inspect"):cfg()').values() == [True]


def test_each_configuration_has_a_handler_of_its_own(nginx):
    for cfg in ("a", "b", "a"):
        assert nginx.values(path("rust_inspect", "cfg", cfg=cfg)) == [True, cfg]


def test_several_libraries_share_a_worker(nginx):
    for _ in range(2):
        assert nginx.values(path("rust_inspect", "any", cfg="x")) == [True, "any"]
        assert nginx.values(path("rust_apps", "it", "hello", cfg="echo")) == [True, "hello"]
        assert nginx.values(path("rust_misuse", "panic", cfg="tokio"))[0] is False
        assert nginx.values(path("rust_version", "get", cfg="tokio")) == [True, "1"]
        assert nginx.values(path("rust_field", "it", "hello", cfg="a")) == [True, "ahello"]


def test_method_that_is_no_text_is_replaced(server):
    nginx = server(lua='local rt = ngx.load_ffi("rust_inspect") return rt["\\255"](rt), rt()')
    assert nginx.values() == [True, True, ""]


@pytest.mark.parametrize("method", ["time_left", "deadline"])
def test_handler_knows_its_deadline(nginx, method):
    ok, left = nginx.values(path("rust_inspect", method, timeout="5"))
    assert ok
    assert 1000 < int(left) <= 5000


def test_handler_knows_the_request_id(nginx):
    call = path("rust_inspect", "request_id")
    assert nginx.get(call, headers={"X-Id": "r-1"}).json() == [True, "r-1"]
    assert nginx.values(call) == [True]


# ---- callers that are gone


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize(
    ("script", "end"), [("exit 3", "exit status: 3"), ("kill -KILL $$", "signal: 9 (SIGKILL)")]
)
def test_handler_sees_how_its_children_ended(nginx, flavour, script, end):
    for _ in range(20):
        assert nginx.values(path("rust_inspect", "child", script, cfg=flavour)) == [True, end]


def test_thread_can_see_that_its_caller_is_gone(nginx):
    with nginx.connect(path("rust_inspect", "watch", "watching", cfg="threads")):
        held = nginx.gate.wait()
    held.open()
    abandoned = nginx.gate.wait()
    assert abandoned.name == "abandoned"
    abandoned.open()
    assert nginx.values(path("rust_inspect", "alive", cfg="threads")) == [True, "alive"]


@pytest.mark.parametrize("flavour", FLAVOURS[1:])
def test_future_is_dropped_when_its_caller_is_gone(nginx, flavour):
    with nginx.connect(path("rust_inspect", "watch", "watching", cfg=flavour)):
        nginx.gate.wait()
    dropped = nginx.gate.wait()
    assert dropped.name == "dropped"
    dropped.open()
    assert nginx.values(path("rust_inspect", "alive", cfg=flavour)) == [True, "alive"]


@pytest.mark.parametrize("flavour", FLAVOURS[1:])
def test_future_is_dropped_at_its_deadline_while_the_runtime_is_unloaded(nginx, flavour):
    call = nginx.begin(path("rust_inspect", "watch", "watching", cfg=flavour, timeout="0.3"))
    nginx.gate.wait()
    unloading = nginx.begin(path("rust_inspect", cfg=flavour, verb="unload"))
    assert call.result() == [False, "timeout"]
    nginx.gate.wait().open()
    assert unloading.result() == [True]


def test_waiting_futures_do_not_hold_up_others(nginx):
    sleep = path("rust_inspect", "sleep", "1", cfg="tokio")
    calls = [nginx.begin(sleep) for _ in range(200)]
    assert all(call.result() == [True, "slept"] for call in calls)


# ---- the log


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_lines_have_level_runtime_and_request(nginx, flavour):
    nginx.get(path("rust_inspect", "log", "hello", cfg=flavour), headers={"X-Id": "r-1"})
    whose = 'runtime "rust_inspect", request "r-1"'
    nginx.log.wait(rf"\[notice\].*{whose}: written: hello$")
    nginx.log.wait(rf"\[warn\].*{whose}: rust_inspect: by log: hello$")
    spans = r"span\{of=1\}: rust_inspect:"
    nginx.log.wait(rf"\[error\].*{whose}: {spans} by tracing: hello answer=42$")
    assert not nginx.log.find("too detailed")


@pytest.mark.parametrize("flavour", FLAVOURS[1:])
def test_lines_after_an_await_have_the_request_too(nginx, flavour):
    nginx.get(path("rust_inspect", "sleep", "1", cfg=flavour), headers={"X-Id": "r-2"})
    nginx.log.wait('request "r-2": rust_inspect: slept$')


def test_lines_of_other_threads_are_logged(nginx):
    nginx.values(path("rust_inspect", "log_in_thread", "hello", cfg="threads"))
    nginx.log.wait(r"\[warn\].*rust_inspect: in a thread: hello$")


# ---- the end


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_handler_is_closed_when_its_runtime_is_unloaded(nginx, flavour):
    nginx.values(path("rust_misuse", "alive", cfg=flavour))
    unloading = nginx.begin(path("rust_misuse", cfg=flavour, verb="unload"))
    held = nginx.gate.wait()
    assert held.name == "closed"
    assert nginx.values("/other") == [1]
    assert not unloading.done()
    held.open()
    assert unloading.result() == [True]


def test_reloads_under_load_lose_no_call(server):
    lua = """
        for i = 1, 20 do
            for _, cfg in ipairs({"tokio", "threads"}) do
                local ok, res = ngx.load_ffi("rust_version", cfg):get()
                if not ok then return res end
            end
        end
        return "all"
    """
    nginx = server(lua=lua)
    for _ in range(3):
        calls = [nginx.begin() for _ in range(20)]
        nginx.reload()
        assert {tuple(call.result()) for call in calls} == {("all",)}


# ---- as libraries in the field are


def test_library_of_the_field_runs(nginx):
    assert nginx.values(path("rust_field", "it", "b", cfg="a")) == [True, "ab"]


@pytest.mark.parametrize("flavour", ["tokio", "tokio with threads"])
def test_no_future_outlives_its_caller_however_soon_that_gives_up(server, flavour):
    """It may be abandoned on its way from the queue to the future."""
    nginx = server(
        lua=f"""
            local rt = ngx.load_ffi("rust_inspect", "{flavour}")
            for round = 1, 20 do
                local threads = {{}}
                for i = 1, 60 do
                    threads[i] = ngx.thread.spawn(rt.sleep, rt, "600000",
                                                  {{timeout = 0.001 * (i % 7 + 1)}})
                end
                for i = 1, 60 do
                    ngx.thread.wait(threads[i])
                end
            end
            return rt:__unload(10)
        """
    )
    assert nginx.values() == [True]
