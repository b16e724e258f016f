"""What serve() takes for a handler, and how calls find their way into it."""

import pytest

KV = """
    import resty_ffi
    class KV:
        {init}
        def get(self, request): return f"get {{request!r}} {{self.cfg}}"
        async def later(self, request): return "later"
        def _private(self, request): return "private"
        def __call__(self, request): return "plain"
        size = property(lambda self: 1 / 0)
        class Inner: pass
    init = resty_ffi.serve({handler})
"""


def test_method_is_called_by_its_lua_name(python):
    python.write("app.py", KV.format(init="cfg = None", handler="KV()"))
    assert python.call("app,init", "a", method="get") == [True, "get b'a' None"]


@pytest.mark.parametrize("method", ["other", "_private", "__init__", "size", "Inner", "close"])
def test_method_that_is_not_public_is_unknown(python, method):
    python.write("app.py", KV.format(init="cfg = None", handler="KV()"))
    assert python.call("app,init", method=method) == [False, 1, f"no method '{method}'"]


def test_sync_and_async_methods_are_mixed(python):
    python.write("app.py", KV.format(init="cfg = None", handler="KV()"))
    assert python.call("app,init", method="later") == [True, "later"]
    assert python.call("app,init", method="get") == [True, "get b'' None"]


def test_plain_call_calls_the_object(python):
    python.write("app.py", KV.format(init="cfg = None", handler="KV()"))
    assert python.call("app,init", method="") == [True, "plain"]


def test_plain_call_of_an_object_that_cannot_be_called_is_an_error(python):
    python.write_app("app.py", "class handle:\n    def get(self, request): return 'got'")
    assert python.call("app,init", method="") == [False, 1, "no method ''"]


@pytest.mark.parametrize(
    "handler",
    [
        "functools.partial(answer, more=1)",
        "functools.lru_cache(answer)",
        "lambda request: answer(request)",
        "Plain()",
        "Plain().__call__",
    ],
)
def test_what_can_be_called_answers_calls_of_every_name(python, handler):
    python.write(
        "app.py",
        f"""
        import functools, resty_ffi
        def answer(request, more=0): return "answer"
        class Plain:
            def __call__(self, request): return "answer"
        init = resty_ffi.serve({handler})
        """,
    )
    for method in ("get", "close", ""):
        assert python.call("app,init", method=method) == [True, "answer"]


# ---- factories


@pytest.mark.parametrize(
    ("init", "got"),
    [
        ("def __init__(self, cfg): self.cfg = cfg", "a,b"),
        ("def __init__(self, text): self.cfg = text", "a,b"),
        ("def __init__(self, cfg='default'): self.cfg = cfg", "a,b"),
        ("def __init__(self, size=10): self.cfg = size", "10"),
        ("cfg = 'none'", "none"),
    ],
)
def test_class_is_made_with_the_configuration_if_it_takes_it(python, init, got):
    python.write("app.py", KV.format(init=init, handler="KV"))
    assert python.call("app,init,a,b", None, method="get") == [True, f"get None {got}"]


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.parametrize("handler", ["def", "async def"])
def test_function_of_cfg_makes_the_handler(python, kind, handler):
    python.write(
        "app.py",
        f"""
        import resty_ffi
        {kind} make(cfg: str):
            {handler} answer(request): return f"{{request}} {{cfg}}"
            return answer
        init = resty_ffi.serve(make)
        """,
    )
    assert python.call("app,init,text", "x") == [True, "b'x' text"]


@pytest.mark.parametrize(
    ("cfg", "value"),
    [('{"a":[1,2]}', "[1, 2]"), ('{"a":"\u00e4,"}', "\u00e4,")],
)
def test_configuration_is_parsed_as_json_on_request(python, cfg, value):
    python.write(
        "app.py",
        """
        import json, resty_ffi
        def make(cfg): return lambda request: str(cfg["a"])
        init = resty_ffi.serve(make, cfg=json.loads)
        """,
    )
    assert python.answer(f"app,init,{cfg}").encode("latin-1").decode() == value


def test_configuration_that_does_not_parse_fails_the_load(python):
    python.write(
        "app.py",
        """
        import json, resty_ffi
        init = resty_ffi.serve(lambda cfg: print, cfg=json.loads)
        """,
    )
    loaded, why = python.load("app,init,{")
    assert (loaded, "JSONDecodeError: Expecting property name" in why) == (False, True)


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_factory_that_raises_fails_the_load(python, kind):
    python.write(
        "app.py",
        f"""
        import resty_ffi
        {kind} make(cfg): raise OSError("no database")
        init = resty_ffi.serve(make)
        """,
    )
    assert python.load("app,init") == [False, "OSError: no database"]


@pytest.mark.parametrize(
    ("handler", "options", "error"),
    [
        (
            "5",
            "",
            "TypeError: handler must be a function, a class or an object",
        ),
        (
            "lambda cfg: 5",
            "",
            "TypeError: handler must be a function, a class or an object",
        ),
        ("print", "threads=0", "ValueError: threads must be 1 or more, not 0"),
        ("print", "threads='2'", "TypeError: threads must be a number, not str"),
        ("print", "concurrency=1", "ValueError: concurrency and loop_factory are for async"),
        ("later", "threads=2", "ValueError: threads are for handlers that are not async"),
    ],
)
def test_what_cannot_serve_fails_the_load(python, handler, options, error):
    python.write(
        "app.py",
        f"""
        import resty_ffi
        async def later(request): pass
        init = resty_ffi.serve({handler}, {options})
        """,
    )
    loaded, why = python.load("app,init")
    assert (loaded, why[: len(error)]) == (False, error)


# ---- the end


@pytest.mark.parametrize("closer", ["def close", "async def close", "async def aclose"])
def test_handler_is_closed_after_its_last_answer(python, closer):
    python.write_app(
        "app.py",
        f"""
        class handle:
            def call(self, request): return "served"
            {closer}(self): print("closed")
        """,
    )
    assert python.call("app,init") == [True, "served"]
    python.unload("app,init")
    python.nginx.log.wait(r'\[notice\] .*runtime "ffi_python3 app,init": closed')


def test_close_that_raises_is_logged_and_does_not_hold_up_the_unload(python):
    python.write_app(
        "app.py",
        """
        class handle:
            def call(self, request): return "served"
            def close(self): raise OSError("stuck")
        """,
    )
    python.call("app,init")
    python.unload("app,init")
    python.nginx.log.wait("OSError: stuck")


def test_factory_handler_and_close_run_on_one_thread(python):
    python.write_app(
        "app.py",
        """
        import sqlite3
        class handle:
            def __init__(self): self.database = sqlite3.connect(":memory:")
            def call(self, request): return str(self.database.execute("select 1").fetchone())
            def close(self): self.database.close(); print("closed")
        """,
    )
    assert python.call("app,init") == [True, "(1,)"]
    python.unload("app,init")
    python.nginx.log.wait("closed")


def test_attributes_that_can_be_called_are_no_methods(python):
    python.write_app(
        "app.py",
        """
        import functools
        class Handler(dict):
            class Inner: pass
            def __init__(self):
                self.run = eval
            @functools.cached_property
            def lazy(self):
                raise SystemExit("evaluated")
            @staticmethod
            def fixed(request):
                return "static"
            @functools.lru_cache(maxsize=None)
            def cached(self, request):
                return "cached"
            def __hash__(self):
                return 1
        handle = Handler()
        """,
    )
    for method in ("run", "lazy", "Inner", "setdefault", "update"):
        values = python.call("app,init", "1", method=method)
        assert values == [False, 1, f"no method '{method}'"]
    assert python.call("app,init", "", method="fixed") == [True, "static"]
    assert python.call("app,init", "", method="cached") == [True, "cached"]


def test_class_that_wants_more_than_the_configuration_fails_the_load(python):
    python.write(
        "app.py", "class Two:\n    def __init__(self, a, b): pass\n    def get(self): pass"
    )
    found, error = python.load("app,Two")
    assert found is False
    assert "missing 1 required positional argument: 'b'" in error


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_context_variables_do_not_outlive_their_call(python, kind):
    python.write_app(
        "app.py",
        f"""
        import contextvars
        user = contextvars.ContextVar("user", default="nobody")
        {kind} handle(request):
            was = user.get()
            user.set(request.decode())
            return was
        """,
    )
    for name in ("ada", "bob"):
        assert python.answer("app,init", name) == "nobody"
