"""Lua authors who break the rules: told so, and nobody is harmed."""

import pytest

ALIVE = [True, "alive"]

PRELUDE = 'local rt = ngx.load_ffi("echo")'

RAISED = """
    local results = {}
    for i, misuse in ipairs({%s}) do
        local ok, why = pcall(misuse)
        results[i] = not ok and why or "nothing"
    end
    return results, rt:echo("alive")
"""


def raised(server, misuses):
    """What each misuse, an expression, raises; all in one worker."""
    lua = ", ".join(f"function() local x = {misuse} return x end" for misuse in misuses)
    messages, *after = server(prelude=PRELUDE, lua=RAISED % lua).values()
    assert after == ALIVE
    return dict(zip(misuses, messages))


def assert_all(messages, complaint):
    assert all(complaint in why for why in messages.values()), messages


# ---- arguments

NO_REQUESTS = ["1", "0/0", "true", "{}", "rt", "print", "1ULL", "coroutine.running()", "ngx.null"]


def test_request_must_be_a_string(server):
    messages = raised(server, [f"rt:echo({value})" for value in NO_REQUESTS])
    assert_all(messages, "request must be a string or nil, got ")


NO_RUNTIMES = ["nil", "1", "{}", '"echo"', "io.stdout", "newproxy(true)", "ngx.null", "rt.echo"]
NO_RUNTIMES += ["setmetatable({}, {__index = rt})"]


def test_method_must_be_called_with_a_runtime(server):
    messages = raised(server, [f'rt.echo({value}, "x")' for value in NO_RUNTIMES])
    assert_all(messages, "call rt:echo(request), with a colon")


@pytest.mark.parametrize("operation", ["__unload", "__reload"])
def test_operation_must_be_called_with_a_runtime(server, operation):
    messages = raised(server, [f"rt.{operation}({value})" for value in NO_RUNTIMES])
    assert_all(messages, f"call rt:{operation}(), with a colon")


NO_SECONDS = ["0", "-0", "-1", "1e-400", "0/0", "1/0", "-1/0", "2147483.1", "1e308"]
NO_SECONDS += ["true", '"1"', "{}", "1ULL", "rt", "print"]

TAKES_SECONDS = {
    'rt:echo("x", {timeout = %s})': "opts.timeout must be a number of seconds",
    'rt("x", {timeout = %s})': "opts.timeout must be a number of seconds",
    "rt:__unload(%s)": "wait must be a number of seconds",
    'ngx.load_ffi("echo", nil, {timeout = %s})': "opts.timeout must be a number of seconds",
    'ngx.load_ffi("echo", nil, {load_timeout = %s})': "opts.load_timeout must be a number",
}


@pytest.mark.parametrize("call", TAKES_SECONDS)
def test_time_must_be_a_number_of_seconds(server, call):
    messages = raised(server, [call % value for value in NO_SECONDS])
    assert_all(messages, TAKES_SECONDS[call])


NO_QUEUES = ["0", "-1", "0.5", "0/0", "1/0", "1048577", '"1"', "true", "{}", "1ULL"]


def test_max_queue_must_be_a_whole_number(server):
    load = 'ngx.load_ffi("echo", nil, {max_queue = %s})'
    messages = raised(server, [load % value for value in NO_QUEUES])
    assert_all(messages, "opts.max_queue must be a whole number")


@pytest.mark.parametrize("seconds", ["1e-300", "0.0001", "2147483"])
def test_extreme_times_are_taken(server, seconds):
    nginx = server(
        lua=f"""
            local rt = ngx.load_ffi("echo", nil, {{timeout = {seconds}, load_timeout = 2147483}})
            return rt:echo("x", {{timeout = 2147483}}), rt:__unload(2147483)
        """
    )
    assert nginx.values() == [True, True]


def test_unknown_options_are_ignored(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("echo", nil, {colour = "red", [1] = 2})
            return rt:echo("alive", {colour = rt})
        """
    )
    assert nginx.values() == ALIVE


def test_error_of_an_options_table_is_the_callers(server):
    trap = 'setmetatable({}, {__index = function() error("trap") end})'
    messages = raised(server, [f'rt:echo("x", {trap})', f'ngx.load_ffi("echo", nil, {trap})'])
    assert_all(messages, "trap")


# ---- handles

TOUCHES = {
    "setmetatable(rt, {})": "table expected",
    'rawset(rt, "x", 1)': "table expected",
    'rawget(rt, "x")': "table expected",
    "(function() rt.x = 1 end)()": "attempt to index",
    "#rt": "attempt to get length",
    "rt + 1": "attempt to perform arithmetic",
    "rt .. rt": "attempt to concatenate",
    "rt < rt": "attempt to compare",
    "pairs(rt)": "table expected",
    "next(rt)": "table expected",
    'ngx.shared.kept:set("rt", rt) or error(select(2, ngx.shared.kept:set("rt", rt)))': "bad value",
    "setfenv(rt, {})": "setfenv",
}


def test_handle_cannot_be_touched(server):
    messages = raised(server, list(TOUCHES))
    assert {it: TOUCHES[it] in why for it, why in messages.items()} == dict.fromkeys(TOUCHES, True)


FORGE = """(function()
    local forged = %s
    debug.setmetatable(forged, debug.getmetatable(rt))
    return forged
end)()"""


@pytest.mark.parametrize("kind", ["{}", "newproxy()"])
def test_value_with_the_metatable_of_runtimes_is_none(server, kind):
    forged = FORGE % kind
    calls = [f'{forged}:echo("x")', f'{forged}("x")', f"{forged}:__unload()"]
    calls += [f"{forged}:__reload()", f"{forged} and collectgarbage() and error('no runtime')"]
    assert_all(raised(server, calls), "runtime")


def test_collected_handle_is_none(server):
    collect = "debug.getmetatable(rt).__gc(rt)"
    nginx = server(prelude=PRELUDE, lua=f'{collect} {collect} return pcall(rt.echo, rt, "x")')
    ok, why = nginx.values()
    assert not ok
    assert "not a runtime" in why
    assert nginx.values()[0] is False


def test_dumped_method_is_no_method(server):
    misuses = [f'loadstring(string.dump({it}))(rt, "x")' for it in ("rt.echo", "ngx.load_ffi")]
    assert_all(raised(server, misuses), "attempt to ")


def test_method_of_one_runtime_calls_another(server):
    nginx = server(
        lua="""
            local a, b = ngx.load_ffi("cfg", "a"), ngx.load_ffi("cfg", "b")
            return a.get(b)
        """
    )
    assert nginx.values() == [True, "b"]


def test_collected_handle_ends_neither_its_calls_nor_its_runtime(server):
    nginx = server(
        lua={
            "/": 'return ngx.load_ffi("gate"):wait("held")',
            "/collect": "collectgarbage() collectgarbage() return 1",
            "/serial": 'return ngx.load_ffi("serial"):get()',
        }
    )
    assert nginx.values("/serial") == [True, "1"]
    call = nginx.begin()
    held = nginx.gate.wait()
    nginx.values("/collect")
    held.open("answered")
    assert call.result() == [True, "answered"]
    assert nginx.values("/serial") == [True, "1"]


def test_handle_kept_in_a_module_lives_as_long_as_its_worker(server):
    nginx = server(start=False, lua='return require("mine").rt:get()')
    (nginx.folder / "mine.lua").write_text('return {rt = assert(ngx.load_ffi("serial"))}')
    nginx.start()
    assert nginx.values() == nginx.values() == [True, "1"]
    nginx.reload()
    assert nginx.values() == [True, "1"]


def test_module_required_again_is_the_same(server):
    nginx = server(
        prelude=PRELUDE,
        lua="""
            local before = require("resty.ffi")
            package.loaded["resty.ffi"] = nil
            return require("resty.ffi") == before, ngx.load_ffi("echo") == rt, rt:echo("alive")
        """,
    )
    assert nginx.values() == [True, True, *ALIVE]


# ---- coroutines


def test_runtime_is_used_by_two_coroutines_at_once(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("gate")
            local a, b = ngx.thread.spawn(rt.wait, rt, "a"), ngx.thread.spawn(rt.wait, rt, "b")
            return {ngx.thread.wait(a)}, {ngx.thread.wait(b)}
        """
    )
    call = nginx.begin()
    for held in sorted(nginx.gate.wait_for(2), key=lambda held: held.name, reverse=True):
        held.open("for " + held.name)
    assert call.result() == [[True, True, "for a"], [True, True, "for b"]]


def test_coroutine_that_waits_for_a_call_cannot_be_resumed(server):
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("gate")
            local co = coroutine.create(function() return rt:wait("held") end)
            local owner = ngx.thread.spawn(coroutine.resume, co)
            local resumed = coroutine.resume(co)
            return resumed, select(2, ngx.thread.wait(owner))
        """
    )
    call = nginx.begin()
    nginx.gate.wait().open("answered")
    assert call.result() == [False, True, True, "answered"]


CAN_WAIT = {
    "pcall": 'return select(2, pcall(rt.echo, rt, "alive"))',
    "iterator": 'for ok, res in rt.echo, rt, "alive" do return ok, res end',
    "metamethod": """
        local t = setmetatable({}, {__index = function(_, name) return {rt:echo(name)} end})
        return unpack(t.alive)
    """,
    "vararg": 'return (function(...) return ... end)(rt:echo("alive"))',
    "options": """
        local opts = setmetatable({}, {__index = function()
            return #select(2, rt:echo("x"))
        end})
        return rt:echo("alive", opts)
    """,
}


@pytest.mark.parametrize("where", CAN_WAIT)
def test_call_waits_in_a(server, where):
    assert server(prelude=PRELUDE, lua=CAN_WAIT[where]).values()[:1] == [True]


CANNOT_WAIT = {
    "handler of xpcall": 'xpcall(error, function() found = {rt:echo("x")} end)',
    "reader of load": 'load(function() found = {rt:echo("x")} end)',
    "debug hook": """
        debug.sethook(function()
            debug.sethook()
            found = {rt:echo("x")}
        end, "l")
        local _ = 1
    """,
    "string.gsub in a coroutine": """
        coroutine.wrap(function()
            string.gsub("x", "x", function() found = {rt:echo("x")} end)
        end)()
    """,
}


@pytest.mark.parametrize("where", CANNOT_WAIT)
def test_call_is_a_clean_error_in_a(server, where):
    nginx = server(
        prelude=PRELUDE,
        lua=f"""
            local found
            {CANNOT_WAIT[where]}
            return found, rt:echo("alive")
        """,
    )
    found, *after = nginx.values()
    assert not found[0]
    assert "cannot wait across a C call" in found[1]
    assert after == ALIVE


def test_call_at_the_end_of_the_stack_fails_or_is_answered(server):
    """LuaJIT's stack ends somewhere within a call, for some of the depths."""
    nginx = server(
        lua="""
            local rt = ngx.load_ffi("echo")
            local function call_at(depth)
                if depth == 0 then
                    local ok, res = rt:echo("x")
                    return ok, res
                end
                local ok, res = call_at(depth - 1)
                return ok, res
            end

            local low, high = 1, 65536
            while high - low > 1 do
                local depth = math.floor((low + high) / 2)
                if pcall(call_at, depth) then low = depth else high = depth end
            end

            local answered, failed, wrong = 0, 0, 0
            for depth = low - 30, low + 30 do
                local ran, ok, res = pcall(call_at, depth)
                if ran and ok and res == "x" then
                    answered = answered + 1
                elseif not ran and ok:find("stack overflow", 1, true) then
                    failed = failed + 1
                else
                    wrong = wrong + 1
                end
                ngx.sleep(0)
            end
            return answered > 0, failed > 0, wrong, rt:echo("alive")
        """
    )
    assert nginx.values() == [True, True, 0, *ALIVE]
