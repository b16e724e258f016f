"""Memory, descriptors, threads and space that run out, one call at a time."""

import pytest

GOOD = "loaded, called, unloaded"

SCENARIO = """
    local fault = require("fault")

    local function scenario(...)
        local rt, err = ngx.load_ffi(...)
        if not rt then
            return "not loaded: " .. tostring(err)
        end
        local called
        local ok, res, why = rt:echo("ping", {timeout = 5})
        if ok then
            called = res == "ping" and "called" or "wrong: " .. tostring(res)
        else
            called = "not called: " .. tostring(res) .. " " .. tostring(why)
        end
        local unloaded, left = rt:__unload(5)
        return "loaded", called, unloaded and "unloaded" or "not unloaded: " .. tostring(left)
    end
"""


@pytest.fixture
def faulty(server, libraries):
    """Makes a server where t/lib/fault.c is preloaded."""

    def make(**options):
        return server(preload=[libraries / "libfault.so"], prelude=SCENARIO, **options)

    return make


def outcomes(nginx, count):
    """What was seen when the n-th call failed, and the count - 1 after it, for
    each n. After each, nothing fails and all is well."""
    seen = {}
    n = 1
    while True:
        outcome, calls = nginx.values(f"/?n={n}&count={count}")
        seen.setdefault(outcome, n)
        after, _ = nginx.values(f"/?n={n}&count=0")
        if after != GOOD:
            raise AssertionError((n,after,outcome))
        if calls < n:
            return seen, n
        n += 1


@pytest.mark.parametrize("count", [1, 2, 1000])
def test_module(faulty, libraries, count):
    nginx = faulty(
        lua=f"""
            return fault.run("ngx_http_lua_ffi_module", fault.ALL, function()
                -- each time a name of its own for the same file
                local path = "{libraries}" .. ("/"):rep(2 * ngx.var.arg_n + (ngx.var.arg_count == "0" and 1 or 0)) .. "libecho.so"
                return scenario(path, nil, {{unpin = true}})
            end)
        """,
    )
    result, n = outcomes(nginx, count)
    import json
    nginx.expect_log("malloc")
    open(f"/tmp/f.{count}","w").write(f"{n} {json.dumps(result,indent=1)} {nginx.usage()}")
