"""Which code a Java runtime runs: read again for "?", cached else; and that it goes."""

import os
import shutil
import time
from pathlib import Path

import pytest
from harness.java import compile_into, pack
from harness.wait import wait_for

APP = """
    package demo;
    import java.nio.charset.*; import java.util.*; import resty.ffi.*;
    public class App implements Handler {{
        static int init(String cfg, long tq) {{ return RestyFfi.serve(tq, new App()); }}
        static class Nested {{ static int version() {{ return {version}; }} }}
        public byte[] handle(Request request) throws Exception {{
            var all = new TreeSet<Object>();
            all.addAll(List.of(Nested.version(), Helper.version(), Lazy.version()));
            for (Service service : ServiceLoader.load(Service.class)) all.add(service.version());
            try (var text = App.class.getResourceAsStream("text")) {{
                all.add(Integer.parseInt(new String(text.readAllBytes())));
            }}
            Runnable lambda = () -> all.add({version});
            lambda.run();
            return all.toString().getBytes();
        }}
    }}
    class Helper {{ static int version() {{ return {version}; }} }}
    class Lazy {{ static int version() {{ return {version}; }} }}
"""

SERVICE = """
    package demo;
    public class Service {{ public int version() {{ return {version}; }} }}
"""


def write_version(java, version):
    """Sources that compile to many classes, a resource and a service, each of
    the same size and time in each version."""
    sources = java.folder / "sources"
    sources.mkdir(exist_ok=True)
    for name, text in ("App", APP), ("Service", SERVICE):
        (sources / f"{name}.java").write_text(text.format(version=version))
    compile_into(java.classes, sorted(sources.glob("*.java")))
    (java.classes / "demo" / "text").write_text(str(version))
    services = java.classes / "META-INF" / "services"
    services.mkdir(parents=True, exist_ok=True)
    (services / "demo.Service").write_text("demo.Service")
    for path in java.classes.rglob("*"):
        os.utime(path, (1e9, 1e9))


def test_question_mark_reads_every_file_again(java):
    write_version(java, 1)
    assert java.answer("demo.App?,init,first") == "[1]"
    write_version(java, 2)
    assert java.answer("demo.App?,init,second") == "[2]"


def test_class_stays_the_cached_version_without_a_question_mark(java):
    java.write_app("App", "return bytes(1);")
    assert java.answer("App,init,first") == "1"
    java.unload("App,init,first")
    java.write_app("App", "return bytes(2);")
    assert java.answer("App,init,first") == "1"
    assert java.answer("App,init,second") == "1"


def test_reload_reads_classes_afresh_without_a_question_mark(java):
    java.start(
        lua={"/reload": 'return ngx.load_ffi("ffi_java", "App,init,first"):__reload()'},
    )
    java.write_app("App", "return bytes(1);")
    assert java.answer("App,init,first") == "1"
    java.write_app("App", "return bytes(2);")
    assert java.nginx.values("/reload") == [True]
    assert java.answer("App,init,first") == "2"


def test_cache_has_what_was_read_last(java):
    java.write_app("App", "return bytes(1);")
    java.answer("App,init,first")
    java.write_app("App", "return bytes(2);")
    java.answer("App?,init,second")
    assert java.answer("App,init,third") == "2"


def test_classes_of_many_class_paths_are_not_kept_for_ever(java, tmp_path):
    java.write_app("App", "return bytes(1);")
    paths = [tmp_path / f"path{i}" for i in range(17)]
    for path in paths:
        shutil.copytree(java.classes, path)
    java.start(env={"CLASSPATH": ""})
    for path in paths:
        assert java.answer(f"{path}/App,init,first") == "1"
        if path != paths[0]:
            java.unload(f"{path}/App,init,first")
    java.write_app("App", "return bytes(2);")
    for path in paths[0], paths[-1]:
        shutil.copytree(java.classes, path, dirs_exist_ok=True)
    assert java.answer(f"{paths[-1]}/App,init,second") == "1"
    assert java.answer(f"{paths[0]}/App,init,second") == "2"
    assert java.answer(f"{paths[0]}/App,init,first") == "1"


def test_cached_class_has_state_of_its_own_in_each_runtime(java):
    java.write_app("App", "return bytes(count++); } static int count; {")
    assert [java.answer("App,init") for _ in range(2)] == ["0", "1"]
    java.unload("App,init")
    assert java.answer("App,init") == "0"


def test_reload_leaves_other_runtimes_alone(java):
    write_version(java, 1)
    java.answer("demo.App?,init,first")
    # the resource is read when it is asked for
    text = java.classes / "demo" / "text"
    write_version(java, 2)
    java.answer("demo.App?,init,second")
    text.write_text("1")
    assert java.answer("demo.App?,init,first") == "[1]"


def test_unload_and_load_again_is_a_reload(java):
    write_version(java, 1)
    assert java.answer("demo.App?,init") == "[1]"
    java.unload("demo.App?,init")
    write_version(java, 2)
    assert java.answer("demo.App?,init") == "[2]"


def test_jar_is_replaced_by_rename(java, tmp_path):
    write_version(java, 1)
    jar = pack(tmp_path / "app.jar", java.classes)
    os.utime(jar, (1e9, 1e9))
    java.start(env={"CLASSPATH": ""})
    assert java.answer(f"{jar}/demo.App?,init,first") == "[1]"
    write_version(java, 2)
    pack(jar, java.classes)
    os.utime(jar, (1e9, 1e9))
    assert java.answer(f"{jar}/demo.App?,init,second") == "[2]"
    assert java.answer(f"{jar}/demo.App?,init,first") == "[1]"


def test_live_runtime_still_loads_classes_from_the_jar_that_was_replaced(java, tmp_path):
    java.write("Lazy", 'class Lazy { static String NAME = new String("old"); }')
    java.write_app("App", 'return bytes(request.text().isEmpty() ? "" : Lazy.NAME);')
    jar = pack(tmp_path / "app.jar", java.classes)
    java.start(env={"CLASSPATH": ""})
    java.answer(f"{jar}/App?,init", "")
    shutil.rmtree(java.classes)
    java.write_app("App", 'return bytes("other");')
    pack(jar, java.classes)
    assert java.answer(f"{jar}/App?,init", "lazy") == "old"


@pytest.mark.parametrize("broken", ["App", "Helper", "jar"])
def test_new_code_that_does_not_load_leaves_the_running_code(java, tmp_path, broken):
    write_version(java, 1)
    jar = pack(tmp_path / "app.jar", java.classes)
    java.start(env={"CLASSPATH": ""})
    assert java.answer(f"{jar}/demo.App?,init,first") == "[1]"
    if broken == "jar":
        (tmp_path / "new").write_bytes(jar.read_bytes()[:500])
        (tmp_path / "new").rename(jar)
        loaded, why = java.load(f"{jar}/demo.App?,init,second")
        assert not loaded
        assert why.startswith(f"{jar} is not a jar: ")
    else:
        path = java.classes / "demo" / f"{broken}.class"
        path.write_bytes(path.read_bytes()[:100])
        pack(jar, java.classes)
        assert java.call(f"{jar}/demo.App?,init,second")[0] is not True
    assert java.answer(f"{jar}/demo.App?,init,first") == "[1]"


@pytest.mark.parametrize("text", [b"", b"garbage" * 1000], ids=["empty", "garbage"])
def test_jar_that_is_overwritten_in_place_still_has_its_classes(java, tmp_path, text):
    java.write("Lazy", 'class Lazy { static String NAME = new String("old"); }')
    java.write_app(
        "App",
        """
        var more = App.class.getResource("more");
        return bytes(request.text().isEmpty() ? more : Lazy.NAME + more.openStream().read());
        """,
    )
    (java.classes / "more").write_text("A")
    jar = pack(tmp_path / "app.jar", java.classes)
    java.start(env={"CLASSPATH": ""})
    java.answer(f"{jar}/App?,init", "")
    jar.write_bytes(text)
    assert java.answer(f"{jar}/App?,init", "lazy") == "old65"
    assert java.load(f"{jar}/App?,init,again")[0] is False


def test_runtimes_share_the_copy_of_a_jar(java, tmp_path):
    java.write_app("App", "return request.body();")
    (java.classes / "big").write_bytes(os.urandom(8 << 20))
    jar = pack(tmp_path / "app.jar", java.classes)
    java.start(env={"CLASSPATH": ""})

    def copies():
        maps = Path(f"/proc/{java.nginx.worker}/fd").iterdir()
        return sum("memfd:resty-ffi" in os.readlink(fd) for fd in maps)

    wait_for(lambda: time.time() - jar.stat().st_ctime > 1)
    for cfg in "a", "b", "c":
        java.answer(f"{jar}/App,init,{cfg}", "x")
    assert copies() == 1
    for cfg in "a", "b", "c":
        java.unload(f"{jar}/App,init,{cfg}")
    assert copies() == 0


# ---- what is left


PROBE = """
    import java.lang.management.*;
    public class Probe {
        static Object create(String cfg) { return new Probe(); }
        public String call(String text) {
            System.gc();
            long used = 0;
            for (MemoryPoolMXBean pool : ManagementFactory.getMemoryPoolMXBeans()) {
                if (pool.getName().equals("Metaspace")) used = pool.getUsage().getUsed();
            }
            ClassLoadingMXBean classes = ManagementFactory.getClassLoadingMXBean();
            return used + " " + classes.getLoadedClassCount() + " "
                + Thread.getAllStackTraces().size();
        }
    }
"""


def probe(java):
    return [int(number) for number in java.answer("Probe,create").split()]


LEAKY = """
    import java.util.concurrent.*; import java.util.logging.*;
    public class App implements resty.ffi.Handler, AutoCloseable {
        static final Logger LOG = Logger.getLogger("app");
        static class Value { }
        static final ThreadLocal<Value> LOCAL = ThreadLocal.withInitial(Value::new);
        static class Mine extends java.util.logging.Handler {
            public void publish(LogRecord record) { }
            public void flush() { }
            public void close() { }
        }
        static int init(String cfg, long tq) {
            LOG.addHandler(new Mine());
            Logger.getLogger("").addHandler(new Mine());
            Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));
            Thread idle = new Thread(() -> {
                try { Thread.sleep(1000000); } catch (InterruptedException end) { }
            });
            idle.setDaemon(false);
            idle.start();
            return RestyFfi.serve(tq, new App());
        }
        public byte[] handle(Request request) throws Exception {
            LOCAL.get();
            CompletableFuture.supplyAsync(() -> LOCAL.get()).get();
            System.out.print("no end of line");
            return request.body();
        }
        public void close() { }
    }
"""


@pytest.mark.parametrize("cfg", ["App,init", "App?,init"])
def test_classes_of_unloaded_runtimes_are_collected(java, cfg):
    java.write("Probe", PROBE)
    java.write("App", LEAKY)

    def cycle(count):
        for _ in range(count):
            java.answer(cfg, "x")
            java.unload(cfg)

    cycle(100)
    space, classes, threads = probe(java)
    cycle(200)
    after = probe(java)
    # of each, three classes and three lambdas: a leak is 1200; JDK 21 makes some
    # thirty of its own for what reflection has called often
    assert after[1] <= classes + 100
    # the JIT's data grow a little for some hundred cycles; a leak is 6 MiB
    assert after[0] < space + (1 << 20)
    assert after[2] <= threads + 2


LOADERS = """
    import java.lang.management.*; import javax.management.*;
    public class Loaders {
        static Object create(String cfg) { return new Loaders(); }
        public String call(String text) throws Exception {
            String all = (String) ManagementFactory.getPlatformMBeanServer().invoke(
                new ObjectName("com.sun.management:type=DiagnosticCommand"), "gcClassHistogram",
                new Object[] {null}, new String[] {"[Ljava.lang.String;"});
            return all.lines().filter(line -> line.endsWith("resty.ffi.internal.AppLoader"))
                .findFirst().get().trim().split(" +")[1];
        }
    }
"""


LEAKS = {
    "executor": """
        static final ExecutorService POOL = Executors.newFixedThreadPool(2);
        static void leak() throws Exception { POOL.submit(() -> 1).get(); }
    """,
    "schedule": """
        static void leak() throws Exception {
            Executors.newScheduledThreadPool(1).scheduleAtFixedRate(
                () -> System.nanoTime(), 0, 1, TimeUnit.MILLISECONDS);
        }
    """,
    "timer": """
        static void leak() {
            new Timer(true).schedule(new TimerTask() { public void run() {} }, 1, 1000);
        }
    """,
    "thread of another loader": """
        static void leak() {
            Thread thread = new Thread(() -> {
                try { Thread.sleep(1000000); } catch (InterruptedException end) { }
            });
            thread.setContextClassLoader(null);
            thread.start();
        }
    """,
    "uncaught": "static void leak() { Thread.setDefaultUncaughtExceptionHandler((t, e) -> {}); }",
    "output": """
        static class Mine extends java.io.ByteArrayOutputStream { }
        static void leak() { System.setOut(new java.io.PrintStream(new Mine())); }
    """,
    "filter": """
        static final java.util.logging.Logger LOG = java.util.logging.Logger.getLogger("");
        static void leak() { LOG.setFilter(record -> true); }
    """,
    "formatter": """
        static class Mine extends java.util.logging.SimpleFormatter { }
        static void leak() {
            for (var h : java.util.logging.Logger.getLogger("").getHandlers()) {
                h.setFormatter(new Mine());
            }
        }
    """,
    "security provider": """
        static class Mine extends java.security.Provider {
            Mine() { super("Mine", "1", ""); }
        }
        static void leak() { java.security.Security.addProvider(new Mine()); }
    """,
    "bean": """
        public interface MineMBean { }
        static class Mine implements MineMBean { }
        static void leak() throws Exception {
            java.lang.management.ManagementFactory.getPlatformMBeanServer().registerMBean(
                new Mine(), new javax.management.ObjectName("mine:n=" + System.nanoTime()));
        }
    """,
    "driver": """
        static class Mine implements java.sql.Driver {
            public java.sql.Connection connect(String url, Properties info) { return null; }
            public boolean acceptsURL(String url) { return false; }
            public java.sql.DriverPropertyInfo[] getPropertyInfo(String u, Properties i) {
                return null;
            }
            public int getMajorVersion() { return 1; }
            public int getMinorVersion() { return 1; }
            public boolean jdbcCompliant() { return false; }
            public java.util.logging.Logger getParentLogger() { return null; }
        }
        static void leak() throws Exception { java.sql.DriverManager.registerDriver(new Mine()); }
    """,
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS)
def test_classes_are_collected_whatever_their_runtime_has_left(java, leak):
    java.write("Loaders", LOADERS)
    java.write(
        "App",
        f"""
        import java.util.concurrent.*;
        public class App {{
            static int init(String cfg, long tq) throws Exception {{
                leak();
                return RestyFfi.serve(tq, (Handler) Request::body);
            }}
            {leak}
        }}
        """,
    )
    for _ in range(3):
        java.answer("App,init", "x")
        java.unload("App,init")
    # its own
    assert wait_for(lambda: java.answer("Loaders,create") == "1")
    assert not java.nginx.log.find("its classes stay")


def test_threads_that_the_jdk_shares_outlive_the_runtime_that_they_were_started_in(java):
    java.write_app(
        "App",
        """
        var late = new java.util.concurrent.CompletableFuture<String>();
        late.completeOnTimeout("late", 1, java.util.concurrent.TimeUnit.MILLISECONDS);
        return bytes(late.get());
        """,
    )
    for _ in range(2):
        assert java.answer("App,init") == "late"
        java.unload("App,init")


def test_thread_that_cannot_be_asked_does_not_spoil_unloads(java):
    java.write(
        "App",
        """
        class App extends Thread {
            public ClassLoader getContextClassLoader() { throw new IllegalStateException("no"); }
            public void interrupt() { throw new IllegalStateException("no"); }
            public void run() { while (true) java.util.concurrent.locks.LockSupport.park(); }
            static int init(String cfg, long tq) throws Exception {
                Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));
                var thread = new App();
                thread.setName("stays");
                thread.start();
                return RestyFfi.serve(tq, (Handler) Request::body);
            }
        }
        """,
    )
    java.write_app("Other", "return request.body();")
    for cfg in "App,init", "Other,init":
        java.answer(cfg, "x")
        java.unload(cfg)
    java.nginx.log.wait('"ffi_java App,init": hook')
    java.nginx.log.wait('"ffi_java App,init": its classes stay until these threads end: "stays" at')
    assert not java.nginx.log.find("IllegalStateException")


def test_shutdown_hooks_run_at_the_unload(java):
    java.write("App", LEAKY)
    java.call("App,init", "x")
    java.unload("App,init")
    java.nginx.log.wait('"ffi_java App,init": hook')


def test_cycles_leave_no_file_open(java, tmp_path):
    java.write_app("App", "return request.body();")
    jar = pack(tmp_path / "app.jar", java.classes)
    cfg = f"{jar}/App?,init"
    for _ in range(3):
        java.answer(cfg, "x")
        java.unload(cfg)
    before = java.nginx.usage().files
    for _ in range(30):
        java.answer(cfg, "x")
        java.unload(cfg)
    assert wait_for(lambda: java.nginx.usage().files <= before)


def test_threads_that_outlive_their_runtime_still_load_classes(java):
    java.write("Late", 'class Late { static String NAME = new String("late"); }')
    java.write(
        "App",
        """
        import java.net.*; import java.nio.*; import java.nio.channels.*;
        class App {
            static void hold() {
                try (var gate = SocketChannel.open(UnixDomainSocketAddress.of("gate"))) {
                    gate.write(ByteBuffer.wrap("held\\n".getBytes()));
                    gate.configureBlocking(false);
                    while (gate.read(ByteBuffer.allocate(100)) >= 0) Thread.onSpinWait();
                    System.out.println("loaded " + Late.NAME);
                } catch (java.io.IOException error) { error.printStackTrace(); }
            }
            static int init(String cfg, long tq) {
                new Thread(App::hold, "lingers").start();
                return RestyFfi.serve(tq, (Handler) Request::body);
            }
        }
        """,
    )
    java.load("App,init")
    held = java.nginx.gate.wait()
    java.unload("App,init")
    java.nginx.log.wait('"lingers" at ')
    held.open()
    java.nginx.log.wait("loaded late")
