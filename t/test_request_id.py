"""lua_ffi_request_id: the id that a request gives its calls."""

import pytest
from harness import target

GET = 'return ngx.load_ffi("inspect"):request_id()'

FROM_HEADER = "lua_ffi_request_id $http_x_request_id;"

MAY_GROW_KIB = 4096


def test_call_has_no_id_by_default(server):
    assert server(lua=GET).values() == [True]


@pytest.mark.parametrize("level", ["http", "server"])
def test_id_is_a_variable_of_the_request(server, level):
    nginx = server(
        **{level: "lua_ffi_request_id $request_id;"},
        lua='return select(2, ngx.load_ffi("inspect"):request_id()) == ngx.var.request_id',
    )
    assert nginx.values() == [True]


def test_innermost_directive_counts(server):
    call = 'content_by_lua_block { ngx.say(select(2, ngx.load_ffi("inspect"):request_id())) }'
    nginx = server(
        http="lua_ffi_request_id outer;",
        server=f"""
            lua_ffi_request_id middle;
            location /middle {{ {call} }}
            location /inner {{ lua_ffi_request_id inner-$arg_x; {call} }}
            location /none {{ lua_ffi_request_id ""; {call} }}
        """,
    )
    assert nginx.get("/middle").text == "middle\n"
    assert nginx.get("/inner?x=1").text == "inner-1\n"
    assert nginx.get("/none").text == "nil\n"


def test_empty_value_is_no_id(server):
    assert server(server=FROM_HEADER, lua=GET).values() == [True]


@pytest.mark.parametrize("size", [1, 127, 128, 129, 257, 5000])
def test_id_is_cut(server, size):
    nginx = server(
        server=FROM_HEADER,
        lua="""
            local rt = ngx.load_ffi("inspect")
            local _, id = rt:request_id()
            return id, tonumber(select(2, rt:request_id_length()))
        """,
    )
    response = nginx.get(headers={"X-Request-ID": "x" * size})
    length = min(size, 128)
    assert response.json() == ["x" * length, length]


def test_control_characters_do_not_get_into_the_log(server):
    nginx = server(
        server="set $id ''; lua_ffi_request_id $id;",
        lua="""
            ngx.var.id = "a\\nb\\0c\\127d"
            ngx.load_ffi("logger"):task("hello")
        """
        + GET,
    )
    assert nginx.values() == [True, "a?b?c?d"]
    nginx.log.wait(r'runtime "logger", request "a\?b\?c\?d": hello$')


def test_each_call_has_the_id_of_its_time(server):
    nginx = server(
        server="set $id ''; lua_ffi_request_id $id;",
        lua="""
            local rt, ids = ngx.load_ffi("inspect"), {}
            for i, id in ipairs({"a", "", "b"}) do
                ngx.var.id = id
                ids[i] = select(2, rt:request_id()) or "none"
            end
            return ids
        """,
    )
    assert nginx.values() == [["a", "none", "b"]]


def test_nil_request_and_id_do_not_mix(server):
    nginx = server(
        server="lua_ffi_request_id id;",
        lua="""
            local rt = ngx.load_ffi("echo")
            return rt:echo(nil), rt:echo(""), rt:echo("hello")
        """,
    )
    assert nginx.values() == [True, True, True, "hello"]


def test_subrequest_has_an_id(server):
    nginx = server(
        server="lua_ffi_request_id $arg_id;",
        lua={"/": 'return ngx.location.capture("/sub?id=sub").body', "/sub": GET},
    )
    assert nginx.values() == ['[true,"sub"]']


def test_call_in_a_timer_has_no_id(server):
    nginx = server(
        server="lua_ffi_request_id $remote_addr-$request_id;",
        lua="""
            ngx.timer.at(0, function()
                local ok, id = ngx.load_ffi("inspect"):request_id()
                require("harness").keep("it", ok, id)
            end)
        """,
    )
    nginx.values()
    assert nginx.kept("it") == [True]


def test_line_on_behalf_of_a_task_has_its_id(server):
    nginx = server(server=FROM_HEADER, lua='return ngx.load_ffi("logger"):task("first\\nsecond")')
    nginx.get(headers={"X-Request-ID": "abc"})
    for text in ["first", "second"]:
        nginx.log.wait(rf'\[warn\] .*ffi: runtime "logger", request "abc": {text}$')


def test_longest_id_leaves_room_for_the_longest_line(server):
    nginx = server(
        server=FROM_HEADER,
        lua='return ngx.load_ffi("logger", ("x"):rep(500)):task(("x"):rep(5000) .. "end")',
    )
    nginx.get(headers={"X-Request-ID": "i" * 128})
    nginx.log.wait('request "i+": x*end')
    lines = nginx.log.find('request "i+": ')
    assert sum(line.partition('": x')[2].count("x") + 1 for line in lines) == 5000


def test_line_of_a_task_without_id_has_the_name_of_the_runtime(server):
    nginx = server(lua='return ngx.load_ffi("logger"):task("hello")')
    nginx.values()
    nginx.log.wait(r'\[warn\] .*ffi: runtime "logger": hello$')


def test_line_of_an_answered_task_has_no_name(server):
    nginx = server(server="lua_ffi_request_id id;", lua='return ngx.load_ffi("logger"):late("x")')
    nginx.values()
    nginx.log.wait(r"\[warn\] .*ffi: late$")


def test_ids_of_many_calls_in_one_request_take_no_memory(server):
    nginx = server(
        server=f'lua_ffi_request_id "$arg_x{"x" * 100}";',
        lua="""
            local rt = ngx.load_ffi("inspect")
            for i = 1, tonumber(ngx.var.arg_x) do
                rt:request_id()
            end
        """,
    )
    nginx.values("/?x=2000")
    before = nginx.usage().resident_kib
    many = nginx.begin("/?x=50000")
    nginx.values("/?x=1")
    after = nginx.usage().resident_kib
    many.result()
    assert target.ASAN or after < before + MAY_GROW_KIB
