"""Java handlers: how they are called, what they may return and throw."""

import pytest

NAME = 'runtime "ffi_java App,init"'


def write_methods(java, body, threads="Threads.DEFAULT"):
    """A handler with methods; it is closed, too."""
    java.write(
        "App",
        f"""
        public class App {{
            static int init(String cfg, long tq) {{
                return RestyFfi.serve(tq, new App(), {threads});
            }}
            static byte[] bytes(Object value) {{ return value.toString().getBytes(); }}
            {body}
        }}
        """,
    )


# ---- methods


def test_methods_answer_the_calls_of_their_names(java):
    write_methods(
        java,
        """
        public byte[] request(Request request) { return request.body(); }
        public byte[] raw(byte[] body) { return body; }
        public String text(String text) { return text + "!"; }
        public void nothing(byte[] body) {}
        public String ünïcode(String text) { return "ü"; }
        """,
    )
    for method, response in ("request", "x"), ("raw", "x"), ("text", "x!"), ("nothing", None):
        answer = java.call("App,init", "x", method=method)
        assert answer == [True, response][: 1 + (response is not None)]
    assert java.call("App,init", "x", method="ünïcode") == [True, "ü".encode().decode("latin-1")]


@pytest.mark.parametrize(
    "method", ["", "other", "close", "equals", "hidden", "shared", "two", "init", "number"]
)
def test_what_is_not_a_public_method_of_the_object_is_unknown(java, method):
    write_methods(
        java,
        """
        byte[] hidden(byte[] body) { return body; }
        public static byte[] shared(byte[] body) { return body; }
        public byte[] two(byte[] one, byte[] other) { return one; }
        public int number(byte[] body) { return 1; }
        public void close() {}
        public byte[] known(byte[] body) { return body; }
        """,
    )
    assert java.call("App,init", "x", method=method) == [False, 1, f"no method '{method}'"]


def test_every_one_of_many_methods_is_found(java):
    names = [f"m{i}" for i in range(100)]
    methods = "".join(f'public String {n}(String x) {{ return "{n}"; }}\n' for n in names)
    write_methods(java, methods)
    nginx = java.start(
        lua={
            "/all": """
                local rt = load()
                for i = 0, 99 do
                    local ok, res = rt["m" .. i](rt, "")
                    if res ~= "m" .. i then return i, ok, res end
                end
                return "all"
            """
        }
    )
    assert nginx.values("/all?library=ffi_java&cfg=App,init") == ["all"]


def test_method_is_found_by_every_byte_of_its_name(java):
    write_methods(
        java,
        """
        public String call(String text) { return "call"; }
        public String \U0001d4d0(String text) { return "beyond 16 bits"; }
        public String \uff41(String text) { return "sorted before it"; }
        """,
    )
    nginx = java.start(
        lua={
            "/bytes": r"""
                local rt = ngx.load_ffi("ffi_java", "App,init")
                return rt["call\0"](rt), rt["\255"](rt)
            """,
        }
    )
    replaced = "\ufffd".encode().decode("latin-1")
    assert nginx.values("/bytes") == [False, False, 1, f"no method '{replaced}'"]
    assert java.call("App,init", method="\U0001d4d0") == [True, "beyond 16 bits"]
    assert java.call("App,init", method="\uff41") == [True, "sorted before it"]


def test_methods_of_one_name_are_a_failed_load(java):
    write_methods(
        java,
        """
        public void get(byte[] body) {}
        public void get(String text) {}
        """,
    )
    assert java.load("App,init") == [
        False,
        "IllegalArgumentException: handler has more than one method get",
    ]


def test_nil_reaches_a_method_as_null(java):
    write_methods(java, 'public String call(String text) { return "" + text; }')
    assert java.call("App,init", None) == [True, "null"]


# ---- the request


def test_request_knows_its_call(java):
    java.write_app(
        "App",
        """
        return bytes(request.method() + " " + request.requestId() + " "
            + (request.timeLeft().toMillis() > 29000) + " "
            + (request.timeLeft().toMillis() <= 30000) + " " + request.isAbandoned());
        """,
    )
    java.start(http='lua_ffi_request_id "id-$arg_request";')
    answer = java.call("App,init", "7", method="some", timeout=30)
    assert answer == [True, "some id-7 true true false"]


def test_request_without_an_id_has_none(java):
    java.write_app("App", "return bytes(request.requestId());")
    assert java.call("App,init")[:2] == [False, 1]


def test_handler_sees_that_its_caller_has_gone(java):
    java.write_app(
        "App",
        """
        while (!request.isAbandoned()) Thread.onSpinWait();
        System.out.println("left at " + request.timeLeft());
        return null;
        """,
    )
    assert java.call("App,init", timeout=0.3) == [False, "timeout"]
    java.nginx.log.wait(f"{NAME}: left at PT0S")


def test_request_may_be_asked_while_its_call_is_being_answered(java):
    java.write(
        "App",
        """
        class App {
            static volatile Request latest;
            static void ask() {
                for (Request last = null, next;; last = next) {
                    do next = latest; while (next == last);
                    next.method();
                }
            }
            static int init(String cfg, long tq) {
                new Thread(App::ask).start();
                Handler handler = request -> { latest = request; Thread.sleep(1); return null; };
                return RestyFfi.serve(tq, handler, Threads.of(1));
            }
        }
        """,
    )
    nginx = java.start(
        lua={
            "/many": """
                local rt, method, right = ngx.load_ffi("ffi_java", "App,init"), ("m"):rep(4e7), 0
                for i = 1, 20 do
                    right = right + (rt[method](rt) and 1 or 0)
                end
                return right
            """
        }
    )
    assert nginx.values("/many") == [20]


# ---- failures


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        ('throw new IllegalStateException("message");', [1, "IllegalStateException: message"]),
        ("throw new java.io.IOException();", [1, "IOException"]),
        ('throw new FfiException(7, "seven");', [7, "seven"]),
        ("throw new FfiException(-7, null);", [-7]),
        ('throw new FfiException(1, "");', [1, ""]),
        ("throw new Exception() {};", [1, "App$1"]),
        ('throw new Error("bad");', [1, "Error: bad"]),
        ("return handle(request);", [1, "StackOverflowError"]),
        (
            "System.exit(3); return null;",
            [1, "SecurityException: System.exit() and Runtime.halt() would"],
        ),
        (
            "Runtime.getRuntime().halt(3); return null;",
            [1, "SecurityException: System.exit() and Runtime.halt() would"],
        ),
        ("return new byte[Integer.MAX_VALUE];", [1, "OutOfMemoryError: Requested array size"]),
        ("return new byte[1 << 30];", [1, "OutOfMemoryError: Java heap space"]),
        ("return bytes(null);", [1, "NullPointerException"]),
        ("throw new ThreadDeath();", [1, "ThreadDeath"]),
    ],
)
def test_what_is_thrown_ends_its_call_only(java, body, answer):
    java.write_app("App", f'if ("ok".equals(request.text())) return bytes("well");\n{body}')
    ok, *rest = java.call("App,init")
    assert not ok
    assert rest[0] == answer[0]
    assert len(rest) == len(answer)
    assert str(rest[-1]).startswith(str(answer[-1]))
    assert java.answer("App,init", "ok") == "well"


def test_stack_trace_is_logged_with_the_request_id(java):
    java.write_app(
        "App",
        """
        Object o = null;
        try { o.hashCode(); } catch (Exception e) { throw new IllegalStateException("no", e); }
        return null;
        """,
    )
    java.start(http="lua_ffi_request_id abc;")
    java.call("App,init")
    java.nginx.log.wait(f"{NAME}, request .abc.: java.lang.IllegalStateException: no")
    java.nginx.log.wait(rf"{NAME}, request .abc.: \s+at App.handle\(App.java")
    java.nginx.log.wait(f"{NAME}, request .abc.: Caused by: java.lang.NullPointerException")
    assert not java.nginx.log.find("at resty.ffi.internal|reflect|java.lang.invoke")


def test_ffi_exception_is_not_logged(java):
    java.write_app("App", 'throw new FfiException(7, "seven");')
    java.call("App,init")
    assert not java.nginx.log.find("seven")


HOSTILE = """
    import java.io.*;
    public class App implements Handler {{
        static class NoMessage extends RuntimeException {{
            public String getMessage() {{ throw new IllegalStateException(); }}
        }}
        static class NoCause extends java.lang.reflect.InvocationTargetException {{
            public Throwable getCause() {{ throw new StackOverflowError(); }}
        }}
        static class NoTrace extends RuntimeException {{
            public void printStackTrace(PrintWriter writer) {{ throw new OutOfMemoryError(); }}
        }}
        static class NoFfiMessage extends FfiException {{
            NoFfiMessage() {{ super(3, ""); }}
            public String getMessage() {{ throw new IllegalStateException(); }}
        }}
        static int init(String cfg, long tq) {{ return RestyFfi.serve(tq, new App(), {threads}); }}
        public byte[] handle(Request request) throws Exception {{
            throw (Exception) Class.forName("App$" + request.text())
                .getDeclaredConstructor().newInstance();
        }}
    }}
"""


@pytest.mark.parametrize("threads", ["Threads.of(1)", "Threads.DEFAULT", "Threads.perCall()"])
def test_exception_that_throws_when_it_is_asked_what_it_is_ends_its_call(java, threads):
    java.write("App", HOSTILE.format(threads=threads))
    asked = "which throws java.lang"
    for name, rc, why in (
        ("NoMessage", 1, f"App$NoMessage, {asked}.IllegalStateException when asked what it is"),
        ("NoCause", 1, f"App$NoCause, {asked}.StackOverflowError when asked what it is"),
        ("NoTrace", 1, "NoTrace"),
        (
            "NoFfiMessage",
            3,
            f"App$NoFfiMessage, {asked}.IllegalStateException when asked what it is",
        ),
    ):
        assert java.call("App,init", name, timeout=5) == [False, rc, why]
    java.nginx.log.wait(f"{NAME}: App.NoTrace, {asked}.OutOfMemoryError when asked what it is")


def test_memory_that_runs_out_is_there_again_after_the_call(java):
    java.write_app(
        "App",
        """
        List<byte[]> all = new ArrayList<>();
        while (request.body().length > 0) all.add(new byte[1 << 20]);
        return bytes("enough");
        """,
    )
    java.start(env={"JAVA_OPTS": "-Xmx32m"})
    for _ in range(3):
        ok, rc, why = java.call("App,init", "x")
        assert (ok, rc, why) == (False, 1, "OutOfMemoryError: Java heap space")
        assert java.answer("App,init", "") == "enough"


def test_request_that_does_not_fit_into_the_heap_fails_alone(java):
    java.write_app("App", "return bytes(request.body().length);")
    nginx = java.start(
        env={"JAVA_OPTS": "-Xmx32m"},
        lua={"/huge": 'return ngx.load_ffi("ffi_java", "App,init"):x(("x"):rep(64 * 1024 * 1024))'},
    )
    ok, rc, why = nginx.values("/huge")
    assert (ok, rc) == (False, 1)
    assert "OutOfMemoryError" in why
    assert java.answer("App,init", "abc") == "3"


def test_many_large_requests_at_once_do_not_need_to_fit_together(java):
    java.write(
        "App",
        """
        class App {
            static int init(String cfg, long tq) {
                Handler size = request -> ("" + request.body().length).getBytes();
                return RestyFfi.serve(tq, size, Threads.of(1));
            }
        }
        """,
    )
    nginx = java.start(
        env={"JAVA_OPTS": "-Xmx64m"},
        lua={
            "/many": """
                local rt = ngx.load_ffi("ffi_java", "App,init")
                local request, threads, right = ("x"):rep(4 * 1024 * 1024), {}, 0
                for i = 1, 50 do threads[i] = ngx.thread.spawn(rt.x, rt, request) end
                for i = 1, 50 do
                    local _, ok, res = ngx.thread.wait(threads[i])
                    right = right + (res == tostring(#request) and 1 or 0)
                end
                return right
            """
        },
    )
    assert nginx.values("/many") == [50]


def test_interrupt_does_not_reach_the_next_call(java):
    write_methods(
        java,
        """
        public void set(byte[] body) { Thread.currentThread().interrupt(); }
        public String call(byte[] body) { return "" + Thread.currentThread().isInterrupted(); }
        """,
        "Threads.of(1)",
    )
    java.call("App,init", method="set")
    assert java.answer("App,init") == "false"


# ---- threads


@pytest.mark.parametrize(
    ("threads", "at_once"),
    [("Threads.of(1)", 1), ("Threads.of(3)", 3), ("Threads.DEFAULT", 4), ("Threads.perCall()", 9)],
)
def test_so_many_calls_are_served_at_once(java, threads, at_once):
    java.write(
        "App",
        f"""
        import java.net.*; import java.nio.*; import java.nio.channels.*;
        public class App {{
            static int init(String cfg, long tq) {{
                return RestyFfi.serve(tq, new App(), {threads});
            }}
            public byte[] call(String name) throws Exception {{
                try (var gate = SocketChannel.open(UnixDomainSocketAddress.of("gate"))) {{
                    gate.write(ByteBuffer.wrap((name + "\\n").getBytes()));
                    return Channels.newInputStream(gate).readAllBytes();
                }}
            }}
        }}
        """,
    )
    java.load("App,init")
    calls = [java.nginx.begin(java.path("call", "App,init", str(i))) for i in range(9)]
    held = java.nginx.gate.wait_for(at_once)
    assert not any(call.done() for call in calls)
    if at_once < 9:
        assert not java.nginx.gate.has_visitor()
    for one in held:
        one.open("let go")
    for _ in range(9 - at_once):
        java.nginx.gate.wait().open("let go")
    assert [call.result() for call in calls] == [[True, "let go"]] * 9


def test_call_whose_caller_left_while_it_waited_is_not_served(java):
    write_methods(
        java,
        """
        public void slow(Request request) {
            System.out.println("slow has come");
            while (!request.isAbandoned()) Thread.onSpinWait();
        }
        public void call(String text) { System.out.println("served " + text); }
        """,
        "Threads.of(1)",
    )
    java.load("App,init")
    slow = java.nginx.begin(java.path("call", "App,init", "", method="slow", timeout=1))
    java.nginx.log.wait("slow has come")
    wait = [java.path("call", "App,init", name, timeout=0.3) for name in ("a", "b")]
    assert [java.nginx.values(path) for path in wait] == [[False, "timeout"]] * 2
    assert slow.result() == [False, "timeout"]
    assert java.call("App,init", "c") == [True]
    java.nginx.log.wait("served c")
    assert not java.nginx.log.find("served [ab]")


# ---- the end


def test_handler_is_closed_after_its_last_answer(java):
    java.write(
        "App",
        """
        public class App implements Handler, AutoCloseable {
            static int init(String cfg, long tq) { return RestyFfi.serve(tq, new App()); }
            public byte[] handle(Request request) { calls++; return request.body(); }
            public void close() { System.out.println("closed after " + calls); }
            int calls;
        }
        """,
    )
    java.call("App,init", "x")
    java.unload("App,init")
    assert len(java.nginx.log.find('App,init": closed after 1')) == 1


def test_close_that_throws_is_logged(java):
    java.write(
        "App",
        """
        public class App implements Handler, AutoCloseable {
            static int init(String cfg, long tq) { return RestyFfi.serve(tq, new App()); }
            public byte[] handle(Request request) { return request.body(); }
            public void close() throws Exception { throw new Exception("cannot close"); }
        }
        """,
    )
    java.call("App,init", "x")
    java.unload("App,init")
    java.nginx.log.wait(f"{NAME}: java.lang.Exception: cannot close")


def test_failed_load_closes_the_handler(java):
    java.write(
        "App",
        """
        public class App implements Handler, AutoCloseable {
            static int init(String cfg, long tq) { RestyFfi.serve(tq, new App()); return 3; }
            public byte[] handle(Request request) { return null; }
            public void close() { System.out.println("closed"); }
        }
        """,
    )
    assert java.load("App,init") == [False, "App.init returned 3"]
    java.nginx.log.wait(f"{NAME}: closed")


def test_close_that_hangs_does_not_hold_up_the_unload_for_ever(java):
    java.write(
        "App",
        """
        public class App implements Handler, AutoCloseable {
            static int init(String cfg, long tq) { return RestyFfi.serve(tq, new App()); }
            public byte[] handle(Request request) { return null; }
            public void close() { while (true) Thread.onSpinWait(); }
        }
        """,
    )
    java.call("App,init")
    java.unload("App,init")
    java.nginx.log.wait(
        f'{NAME}: its classes stay until these threads end: "App,init" at App.close'
    )
    java.write_app("Other", "return request.body();")
    assert java.answer("Other,init", "well") == "well"


@pytest.mark.parametrize("threads", ["Threads.of(1)", "Threads.of(4)", "Threads.perCall()"])
def test_handler_that_nobody_waits_for_is_interrupted_by_the_unload(java, threads):
    write_methods(
        java,
        """
        public void call(String text) throws Exception { synchronized (this) { wait(0); } }
        """,
        threads,
    )
    assert java.call("App,init", "x", timeout=0.3) == [False, "timeout"]
    assert java.call("App,init", "x", timeout=0.3) == [False, "timeout"]
    java.unload("App,init")
    java.nginx.log.wait(f"{NAME}: java.lang.InterruptedException")


def test_handler_that_somebody_waits_for_is_not_interrupted_by_the_unload(java, java_apps):
    nginx = java.start(
        env={"CLASSPATH": str(java_apps)}, lua={"/drop": "return load():__unload(0.6)"}
    )
    java.load("Gate,init")
    call = nginx.begin(java.path("call", "Gate,init", "x"))
    held = nginx.gate.wait()
    assert nginx.values(java.path("drop", "Gate,init"))[0] is None
    held.open("served")
    assert call.result() == [True, "served"]


def test_deadlocked_handler_times_out_and_its_runtime_can_be_replaced(java):
    write_methods(
        java,
        """
        public synchronized String call(String text) throws Exception {
            while (text.equals("hang")) {
                try { Thread.sleep(1000000); } catch (InterruptedException deaf) { }
            }
            return text;
        }
        """,
    )
    nginx = java.start(
        http="lua_ffi_shutdown_timeout 1s;", lua={"/drop": "return load():__unload(0.05)"}
    )
    assert java.call("App,init", "hang", timeout=0.3) == [False, "timeout"]
    assert java.call("App,init", "behind", timeout=0.3) == [False, "timeout"]
    done, why = nginx.values(java.path("drop", "App,init"))
    assert not done
    assert why.endswith("calls unanswered: 2")
    assert java.answer("App,init", "anew") == "anew"
