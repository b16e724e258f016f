"""Memory, descriptors, threads and space that run out, one call at a time."""

import re

import pytest

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
