"""The header traceparent of a request, which its calls carry."""

import pytest

VALID = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

GET = """
    local rt = ngx.load_ffi("inspect")
    local ok, trace = rt:traceparent()
    return trace, select(2, rt:traceparent_length())
"""


@pytest.mark.parametrize("name", ["traceparent", "TraceParent"])
def test_call_carries_the_header(server, name):
    nginx = server(lua=GET)
    assert nginx.get(headers={name: VALID}).json() == [VALID, "55"]


def test_call_without_the_header_has_none(server):
    assert server(lua=GET).values() == [None, "0"]


@pytest.mark.parametrize(
    "header",
    ["", "x", VALID.upper(), VALID + "-more", VALID.replace("4bf92f", "xxxxxx"), "ff" + VALID[2:]],
)
def test_header_that_is_not_valid_is_left_out(server, header):
    nginx = server(lua=GET)
    assert nginx.get(headers={"traceparent": header}).json() == [None, "0"]


def test_what_a_later_version_adds_is_left_out(server):
    nginx = server(lua=GET)
    later = "cc" + VALID[2:]
    assert nginx.get(headers={"traceparent": later + "-more"}).json() == [later, "55"]


def test_each_call_has_the_header_of_its_own_request(server):
    nginx = server(lua=GET)
    for trace in (VALID, None, VALID.replace("-01", "-00")):
        headers = {"traceparent": trace} if trace else {}
        assert nginx.get(headers=headers).json()[0] == trace


def test_lua_may_begin_a_trace(server):
    nginx = server(lua=f'ngx.req.set_header("traceparent", "{VALID}") ' + GET)
    assert nginx.values() == [VALID, "55"]


def test_call_in_a_timer_carries_none(server):
    nginx = server(
        lua="""
            ngx.timer.at(0, function()
                local ok, trace = ngx.load_ffi("inspect"):traceparent()
                require("harness").keep("it", ok, trace)
            end)
        """
    )
    nginx.get(headers={"traceparent": VALID})
    assert nginx.kept("it") == [True]


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_python_handler_sees_it(python, kind):
    python.write(
        "app.py",
        f"""
        import resty_ffi
        {kind} handle(request):
            return repr(resty_ffi.current_task().traceparent)
        init = resty_ffi.serve(handle)
        """,
    )
    assert python.call("app,init") == [True, "None"]
    path = python.path("call", "app,init", "")
    assert python.nginx.get(path, headers={"traceparent": VALID}).json() == [True, f"'{VALID}'"]


def test_nodejs_handler_sees_it(nodejs):
    nodejs.write(
        "app.js",
        """
        const { serve } = require('resty_ffi');
        exports.init = serve((request, call) => JSON.stringify([call.traceparent, call.requestId]));
        """,
    )
    assert nodejs.call("app,init") == [True, "[null,null]"]
    path = nodejs.path("call", "app,init", "")
    answer = nodejs.nginx.get(path, headers={"traceparent": VALID}).json()
    assert answer == [True, f'["{VALID}",null]']


def test_java_handler_sees_it(java):
    java.write_app("App", "return bytes(String.valueOf(request.traceparent()));")
    assert java.call("App,init") == [True, "null"]
    path = java.path("call", "App,init", "")
    assert java.nginx.get(path, headers={"traceparent": VALID}).json() == [True, VALID]


@pytest.mark.parametrize(
    ("load", "none"),
    [('"go_apps", "facts"', ""), ('"rust_inspect"', None)],
    ids=["go", "rust"],
)
def test_handler_of_a_library_sees_it(server, load, none):
    nginx = server(lua=f"return select(2, ngx.load_ffi({load}):traceparent())")
    assert nginx.get(headers={"traceparent": VALID}).json() == [VALID]
    assert nginx.values() == ([] if none is None else [none])
