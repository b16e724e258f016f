"""Memory, descriptors, threads and space that run out, one call at a time."""

import re
from itertools import count

import pytest
from harness.wait import wait_for

GOOD = "loaded, called, unloaded"

SCENARIO = """
    local fault = require("fault")

    -- Each time another name, and so another library, of the same file.
    local function path(folder, name)
        local n = 2 * ngx.var.arg_n + (ngx.var.arg_count == "0" and 1 or 0)
        return folder .. ("/"):rep(n) .. name
    end

    -- The values become the outcome.
    local function scenario(...)
        local rt, err = ngx.load_ffi(...)
        if not rt then
            return "not loaded: " .. tostring(err)
        end

        -- too long to stay with the task
        local request = ("x"):rep(3000)
        local called
        local ok, res, why = rt:echo(request, {timeout = 10})
        if ok then
            called = res == request and "called" or "wrong answer"
        else
            called = "not called: " .. tostring(res) .. (why and ", " .. why or "")
        end

        local unloaded, left = rt:__unload(10)
        return "loaded", called, unloaded and "unloaded" or "not unloaded: " .. tostring(left)
    end
"""

CLEAR = re.compile(
    r"(not loaded: |loaded, not called: )?(no memory( for the (reason|call))?|no memory to wait"
    r"|cannot start a thread"
    r"|-1, no memory for the response"
    r"|cannot copy \S+: (Too many open files|No space left on device|Input/output error)"
    r"|cannot find \S+: Input/output error"
    r"|copy of \S+: .*(out of memory|Cannot allocate memory|cannot open shared object file"
    r"|cannot create shared object descriptor)"
    r"|libraries that were read afresh .*)(, unloaded)?"
)


@pytest.fixture
def faulty(server, libraries):
    """Makes a server where t/lib/fault.c is preloaded."""

    def make(**options):
        nginx = server(
            preload=[libraries / "libfault.so"],
            prelude=SCENARIO,
            http="lua_ffi_request_id $request_id;",
            **options,
        )
        nginx.expect_log(r"\[emerg\] .*malloc\(\d+\) failed")
        return nginx

    return make


def outcomes(nginx, count, good):
    """What was seen when the n-th call failed, and the count - 1 after it, for
    each n. After each, nothing fails and all is well."""
    seen = {}
    n = 1
    while True:
        outcome, calls = nginx.values(f"/?n={n}&count={count}")
        seen.setdefault(outcome, n)
        after, _ = nginx.values(f"/?n={n}&count=0")
        assert good.fullmatch(after), f"{after}, after call {n}: {outcome}"
        if calls < n:
            return seen
        n += 1


@pytest.mark.parametrize("count", [1, 1000])
@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("echo", GOOD),
        ("event_loop", GOOD),
        ("fail_init", "not loaded: libffi_init.. (returned 7|failed)"),
        ("no_init", "not loaded: .* has no libffi_init.*"),
        ("missing", "not loaded: cannot find .*"),
    ],
)
def test_each_call_that_fails_is_told(faulty, libraries, name, good, count):
    nginx = faulty(
        lua=f"""
            return fault.run("ngx_http_lua_ffi_module", fault.ALL, function()
                return scenario(path("{libraries}", "lib{name}.so"), nil, {{unpin = true}})
            end)
        """,
    )
    seen = outcomes(nginx, count, re.compile(good))
    unclear = [text for text in seen if not re.fullmatch(good, text) and not CLEAR.fullmatch(text)]
    assert not unclear


ARM = """
    init_by_lua_block {
        local file = io.open("n")
        if file then
            require("fault").arm("ngx_http_lua_ffi_module", 7, file:read("*n"), 1)
            file:close()
        end
    }
"""


def test_each_call_that_fails_when_nginx_is_reloaded_is_told(server, libraries):
    """The configuration of before stays, or workers serve without runtimes."""
    nginx = server(
        preload=[libraries / "libfault.so"],
        http=ARM,
        lua="""
            local calls = require("fault").disarm()
            local rt, err = ngx.load_ffi("echo")
            return calls, rt and select(2, rt:echo("hello")) or err
        """,
    )
    nginx.expect_log(r"\[emerg\] .*ffi: eventfd\(\) failed \(24: ")
    nginx.expect_log(r"\[alert\] .*epoll_ctl\(1, \d+\) failed \(28: ")
    nginx.expect_log(r"\[crit\] .*ffi: this worker serves without runtimes until nginx is reloaded")
    seen = set()
    for n in count(1):
        (nginx.folder / "n").write_text(str(n))
        is_reloaded = reload(nginx)
        calls, answer = nginx.values()
        seen.add((is_reloaded, answer))
        if is_reloaded and calls < n:
            break
    refused = "this worker could not start what runtimes need, as its log says: reload nginx"
    assert seen == {(False, "hello"), (True, refused), (True, "hello")}


def reload(nginx):
    """Whether another worker has taken the place of the only one."""
    old = nginx.worker
    refusals = len(nginx.log.find(r"\[emerg\]"))
    nginx.signal("HUP")
    wait_for(
        lambda: (
            len(nginx.log.find(r"\[emerg\]")) > refusals
            or (nginx.workers() and old not in nginx.workers())
        )
    )
    return nginx.worker != old
