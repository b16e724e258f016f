"""What a Java configuration means, and how its load fails."""

import shutil

import pytest
from harness.java import pack

SHOW_CFG = 'return bytes(cfg == null ? "null" : "[" + cfg + "]");'


# ---- the configuration


@pytest.mark.parametrize("mark", ["", "?"])
@pytest.mark.parametrize(
    ("rest", "text"),
    [
        ("init", "null"),
        ("init,", "[]"),
        ("init,text", "[text]"),
        ("init,a,b,,c", "[a,b,,c]"),
        ('init,{"a":[1,2],"b":"ü"}', '[{"a":[1,2],"b":"ü"}]'),
    ],
)
def test_method_gets_what_follows_the_second_comma(java, mark, rest, text):
    java.write_app("demo.http2.App", SHOW_CFG)
    answer = java.answer(f"demo.http2.App{mark},{rest}")
    assert answer.encode("latin-1").decode() == text


def test_long_configuration_arrives_whole(java):
    java.write_app("App", "return bytes(cfg.length());")
    # made in Lua: a URL could not hold it
    nginx = java.start(
        lua={"/long": 'return ngx.load_ffi("ffi_java", "App,init," .. ("x"):rep(100000)):x()'}
    )
    assert nginx.values("/long") == [True, "100000"]


def test_another_text_is_another_runtime_with_state_of_its_own(java):
    java.write_app("App", "return bytes(cfg + count++); } static int count; {")
    assert [java.answer("App,init,a") for _ in range(2)] == ["a0", "a1"]
    assert java.answer("App,init,b") == "b0"


def test_nested_class_has_its_binary_name(java):
    java.write(
        "App",
        """
        class App {
            static class Inner {
                static int init(String cfg, long tq) {
                    return RestyFfi.serve(tq, (Handler) request -> "inner".getBytes());
                }
            }
        }
        """,
    )
    assert java.answer("App$Inner,init") == "inner"


@pytest.mark.parametrize("form", ["{folder}", "{folder}/", "{jar}", "{jars}/*"])
def test_class_path_in_front_of_the_class_is_searched_first(java, tmp_path, form):
    java.write("Helper", 'class Helper { static String WHOSE = new String("front"); }')
    java.write_app("App", "return bytes(Helper.WHOSE);")
    front = shutil.move(java.classes, tmp_path / "front")
    (tmp_path / "jars").mkdir()
    jar = pack(tmp_path / "jars" / "app.jar", front)
    java.write("Helper", 'class Helper { static String WHOSE = new String("CLASSPATH"); }')
    path = form.format(folder=front, jar=jar, jars=jar.parent)
    assert java.answer(f"{path}/App,init") == "front"


def test_class_path_in_front_may_have_many_entries(java, tmp_path):
    java.write("Helper", 'public class Helper { public static String NAME = new String("x"); }')
    shutil.copytree(java.classes, tmp_path / "helper")
    java.write_app("App", "return bytes(Helper.NAME);")
    (java.classes / "Helper.class").unlink()
    app = shutil.move(java.classes, tmp_path / "app")
    assert java.answer(f"{tmp_path}/helper:{app}/App?,init") == "x"


def test_relative_class_path_is_in_the_working_folder(java):
    nginx = java.start()
    java.write_app("App", "return request.body();")
    shutil.move(java.classes, nginx.folder / "classes")
    assert java.answer("classes/App,init", "hello") == "hello"


def test_classpath_is_as_javas(java, tmp_path):
    java.write("Helper", 'public class Helper { public static String NAME = new String("x"); }')
    java.write_app("App", "return bytes(Helper.NAME);")
    (tmp_path / "jars").mkdir()
    jar = pack(tmp_path / "jars" / "app.jar", java.classes)
    java.start(env={"CLASSPATH": f"/nowhere::{jar.parent}/*"})
    assert java.answer("App,init") == "x"


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "jar"])
@pytest.mark.parametrize("name", ["a b.txt", "a#b.txt", "a%20b.txt", "a?b.txt", "ü.txt", "a!/b"])
def test_resource_of_any_name_is_read(java, tmp_path, packed, name):
    java.write_app(
        "App",
        """
        var url = App.class.getResource(request.text());
        var plain = new java.net.URL(App.class.getResource("App.class"), "plain.txt");
        try (var text = url.openStream(); var more = plain.openStream()) {
            return bytes(new String(text.readAllBytes()) + url.toURI().isAbsolute() + more.read());
        }
        """,
    )
    (java.classes / name).parent.mkdir(exist_ok=True)
    (java.classes / name).write_text("text ")
    (java.classes / "plain.txt").write_text("A")
    java.start(env={"CLASSPATH": ""})
    path = pack(tmp_path / "app.jar", java.classes) if packed else java.classes
    assert java.answer(f"{path}/App,init", name) == "text true65"


def test_class_path_with_a_device_is_a_failed_load(java):
    assert java.load("/dev/zero/App,init") == [False, "/dev/zero is neither a folder nor a jar"]


def test_class_path_without_a_folder_is_a_failed_load(java):
    assert java.load("/no/where/App,init") == [
        False,
        "no folder or jar /no/where, or it cannot be read",
    ]


# ---- the entry method


@pytest.mark.parametrize(
    ("cfg", "error"),
    [
        (None, "no configuration: <class>,<method> is needed"),
        ("", 'no method in "": <class>,<method> is needed'),
        ("App", 'no method in "App": <class>,<method> is needed'),
        ("App,", 'no method in "App,": <class>,<method> is needed'),
        ("App,,text", 'no method in "App,...": <class>,<method> is needed'),
        (",init,secret", 'no class in ",init...": <class>,<method> is needed'),
        ('{"secret":1}', 'no method in "{...": <class>,<method> is needed'),
        (",init", 'no class in ",init": <class>,<method> is needed'),
        ("?,init", 'no class in "?,init": <class>,<method> is needed'),
        ("/,init", 'no class in "/,init": <class>,<method> is needed'),
        ("App,nothing", "App has no static int nothing(String, long) and no static"),
        ("App,plain", "App has no static int plain(String, long) and no static"),
        ("App..,init", "ClassNotFoundException: App.. is not in the class path"),
        ("java.lang.String,init", "java.lang.String has no static int init(String, long)"),
    ],
)
def test_configuration_without_an_entry_is_a_failed_load(java, cfg, error):
    java.write("App", "class App { int plain(String cfg, long tq) { return 0; } }")
    loaded, why = java.load(cfg)
    assert not loaded
    assert why.startswith(error)


def test_class_that_is_missing_is_told_with_the_class_path(java):
    java.write("App", "class App {}")
    assert java.load("demo.None,init") == [
        False,
        f'ClassNotFoundException: demo.None is not in the class path "{java.classes}"',
    ]


def test_configuration_that_is_no_text_is_a_failed_load(java):
    java.write("App", "class App {}")
    nginx = java.start(lua={"/garbage": r'return ngx.load_ffi("ffi_java", "\255\1\127,\200")'})
    loaded, why = nginx.values("/garbage")
    assert not loaded
    assert "is not in the class path" in why


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("return 1;", "App.init returned 1"),
        ("return -1;", "App.init returned -1"),
        ('throw new IllegalStateException("no luck");', "IllegalStateException: no luck"),
        ("throw new Exception();", "Exception"),
        ('throw new OutOfMemoryError("none");', "OutOfMemoryError: none"),
        ("return init(cfg, tq);", "StackOverflowError"),
        ("System.exit(3); return 0;", "SecurityException: System.exit() and Runtime.halt() would"),
        ("return RestyFfi.serve(tq, null);", "IllegalArgumentException: handler must be"),
        ('return RestyFfi.serve(tq, "".getClass());', "IllegalArgumentException: handler must"),
        ("return RestyFfi.serve(tq + 1, H);", "is not the task queue of a runtime"),
        ("RestyFfi.serve(tq, H); return RestyFfi.serve(tq, H);", "is served by one handler"),
        ("return RestyFfi.serve(tq, H, Threads.of(0));", "IllegalArgumentException: threads: at"),
        ('return Integer.parseInt("x");', "NumberFormatException: For input string"),
    ],
)
def test_method_that_fails_is_a_failed_load(java, body, error):
    java.write(
        "App",
        f"""
        class App {{
            static final Handler H = request -> null;
            static int init(String cfg, long tq) throws Exception {{ {body} }}
        }}
        """,
    )
    loaded, why = java.load("App,init")
    assert not loaded
    assert error in why


def test_class_that_does_not_initialise_is_a_failed_load(java):
    java.write(
        "App",
        """
        class App {
            static int x = Integer.parseInt("none");
            static int init(String cfg, long tq) { return 0; }
        }
        """,
    )
    assert java.load("App,init") == [
        False,
        'NumberFormatException: For input string: "none"',
    ]


def test_stack_trace_of_a_failed_load_is_in_the_log(java):
    java.write(
        "App",
        """
        class App {
            static int init(String cfg, long tq) { throw new IllegalStateException("no luck"); }
        }
        """,
    )
    java.load("App,init")
    name = 'runtime "ffi_java App,init": '
    java.nginx.log.wait(f"{name}java.lang.IllegalStateException: no luck")
    java.nginx.log.wait(rf"{name}\sat App.init\(App.java:4\)")
    assert not java.nginx.log.find("reflect|resty.ffi.internal")


def test_factory_makes_the_handler_of_the_configuration(java):
    java.write(
        "App",
        """
        public class App {
            private final String cfg;
            App(String cfg) { this.cfg = cfg; }
            static App create(String cfg) { return new App(cfg); }
            static Handler refuse(String cfg) { throw new IllegalStateException("not " + cfg); }
            static Handler none(String cfg) { return null; }
            public String call(String request) { return cfg + request; }
        }
        """,
    )
    assert java.answer("App,create,a-", "b") == "a-b"
    assert java.load("App,refuse,so") == [False, "IllegalStateException: not so"]
    loaded, why = java.load("App,none")
    assert not loaded
    assert "handler must be" in why


def test_load_is_tried_again(java):
    java.write("App", "class App { static int init(String cfg, long tq) { return 7; } }")
    assert java.load("App?,init") == [False, "App.init returned 7"]
    java.write_app("App", 'return bytes("now");')
    assert java.answer("App?,init") == "now"


def test_slow_load_does_not_hold_up_the_event_loop(java, java_apps):
    nginx = java.start(
        env={"CLASSPATH": str(java_apps)},
        lua={"/other": "return 1"},
    )
    call = nginx.begin(java.path("call", "SlowStart,init"))
    held = nginx.gate.wait()
    assert nginx.values("/other") == [1]
    held.open()
    assert call.result() == [True, "ready"]


@pytest.mark.parametrize("hang", ["Thread.sleep(1000000)", "while (tq != 0) Thread.onSpinWait()"])
def test_load_that_hangs_holds_up_others_until_its_timeout_only(java, hang):
    java.write_app("App", 'return bytes("well");')
    java.write(
        "Hangs",
        f"""
        class Hangs {{
            static int init(String cfg, long tq) throws Exception {{
                System.out.println("hangs");
                {hang};
                return 0;
            }}
        }}
        """,
    )
    # what computes for ever does not end in time
    nginx = java.start(
        http="lua_ffi_shutdown_timeout 1s;",
        lua={"/hang": 'return ngx.load_ffi("ffi_java", "Hangs,init", {load_timeout = 0.05})'},
    )
    java.load("App,init")
    loaded, why = nginx.values("/hang")
    assert not loaded
    assert why.startswith("load timed out")
    assert java.answer("App,init,other") == "well"


def test_class_that_is_damaged_is_a_failed_load(java):
    java.write_app("App", "return null;")
    path = java.classes / "App.class"
    path.write_bytes(path.read_bytes()[:100])
    loaded, why = java.load("App,init")
    assert not loaded
    assert why.startswith("ClassFormatError: Truncated class file")
