"""What Java code prints and logs goes to error.log."""

import pytest

NAME = 'runtime "ffi_java App,init": '


@pytest.mark.parametrize(
    ("statement", "line"),
    [
        ('System.out.println("hello");', "[notice] .*hello"),
        ('System.err.println("hello");', "[error] .*hello"),
        ('System.out.print("no end"); System.out.print(" of line");', "[notice] .*no end of line"),
        ('System.out.printf("%s-%d%n", "a", 1);', "[notice] .*a-1"),
        ("System.out.write(65); System.out.write(10);", "[notice] .*A"),
        ('LOG.severe("hello");', "[error] .*App: hello"),
        ('LOG.warning("hello");', "[warn] .*App: hello"),
        ('LOG.log(INFO, "{0} {1}", new Object[] {"a", 2});', "[info] .*App: a 2"),
        ('LOG.log(SEVERE, "it", new Exception("why"));', "[error] .*java.lang.Exception: why"),
        ('System.getLogger("sys").log(WARN, "hello");', "[warn] .*sys: hello"),
        ('System.out.println("ünï");', "[notice] .*ünï"),
        ('new Exception("trace").printStackTrace();', "[error] .*java.lang.Exception: trace"),
    ],
)
def test_output_has_a_level_and_the_name_of_its_runtime(java, statement, line):
    java.write_app(
        "App",
        f"""
        var LOG = java.util.logging.Logger.getLogger("App");
        var INFO = java.util.logging.Level.INFO;
        var SEVERE = java.util.logging.Level.SEVERE;
        var WARN = System.Logger.Level.WARNING;
        {statement}
        return null;
        """,
    )
    java.call("App,init")
    level, _, text = line.partition(" .*")
    java.nginx.log.wait(rf"\{level[:-1]}\] .*{NAME}.*{text}$")


def test_output_of_a_call_has_its_request_id(java):
    java.write_app("App", 'System.out.println("hello"); return null;')
    java.start(http="lua_ffi_request_id abc;")
    java.call("App,init")
    java.nginx.log.wait('runtime "ffi_java App,init", request "abc": hello')


def test_output_of_init_and_of_threads_is_of_the_runtime(java):
    java.write(
        "App",
        """
        class App {
            static int init(String cfg, long tq) throws Exception {
                System.out.println("from init");
                Thread thread = new Thread(() -> System.out.println("from a thread"));
                thread.start();
                thread.join();
                return 0;
            }
        }
        """,
    )
    java.load("App,init")
    java.nginx.log.wait(f"{NAME}from init")
    java.nginx.log.wait(f"{NAME}from a thread")


def test_uncaught_exception_of_a_thread_is_logged(java):
    java.write(
        "App",
        """
        class App {
            static int init(String cfg, long tq) throws Exception {
                new Thread(() -> { throw new IllegalStateException("alone"); }).start();
                return 0;
            }
        }
        """,
    )
    java.load("App,init")
    java.nginx.log.wait(rf"\[error\] .*{NAME}java.lang.IllegalStateException: alone")


def test_lines_of_threads_are_whole(java):
    java.write_app(
        "App",
        """
        Runnable say = () -> {
            for (int i = 0; i < 200; i++) {
                for (char c : Thread.currentThread().getName().toCharArray()) System.out.print(c);
                System.out.println();
            }
        };
        var threads = List.of(new Thread(say, "abcdef"), new Thread(say, "uvwxyz"));
        threads.forEach(Thread::start);
        for (Thread thread : threads) thread.join();
        return null;
        """,
    )
    java.call("App,init")
    lines = java.nginx.log.find(NAME)
    assert len(lines) == 400
    assert all(line.endswith(("abcdef", "uvwxyz")) for line in lines)


def test_line_that_never_ends_is_not_kept(java):
    java.write_app("App", 'System.out.print("x".repeat(100000)); return null;')
    java.call("App,init")
    java.nginx.log.wait(f"{NAME}xxx")


def test_output_that_a_runtime_closes_stays_open_to_all(java):
    java.write_app("App", "System.out.close(); System.err.close(); return null;")
    java.write_app("Other", 'System.out.println("out"); System.err.println("err"); return null;')
    java.call("App,init")
    java.call("Other,init")
    for line in "out", "err":
        java.nginx.log.wait(f'runtime "ffi_java Other,init": {line}')


def test_output_that_a_runtime_takes_away_is_back_when_it_is_gone(java):
    java.write_app(
        "App",
        """
        System.setOut(new java.io.PrintStream(new java.io.ByteArrayOutputStream()));
        java.util.logging.LogManager.getLogManager().reset();
        return null;
        """,
    )
    java.write_app(
        "Other",
        """
        System.out.println("out");
        java.util.logging.Logger.getLogger("x").severe("logged");
        return null;
        """,
    )
    java.call("App,init")
    java.unload("App,init")
    java.call("Other,init")
    java.nginx.log.wait('runtime "ffi_java Other,init": out')
    java.nginx.log.wait('runtime "ffi_java Other,init": x: logged')
