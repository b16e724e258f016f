"""The Java VM inside a worker: options, signals, exit, child processes."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from harness.java import tool
from harness.wait import wait_for

FORKS = pytest.mark.no_asan("libasan's allocator may hold a lock when a thread forks")


def status(pid, *names):
    text = Path(f"/proc/{pid}/status").read_text()
    return [int(re.search(rf"^{name}:\s*(\w+)", text, re.MULTILINE)[1], 16) for name in names]


def signals(mask):
    return {number for number in range(1, 65) if mask >> (number - 1) & 1}


# ---- the worker's own


@pytest.mark.parametrize(
    "body",
    [
        "return request.body();",
        pytest.param('new ProcessBuilder("true").start().waitFor(); return null;', marks=FORKS),
    ],
)
def test_worker_keeps_its_signals(java, body):
    java.write_app("App", body)
    worker = java.nginx.worker
    caught, ignored, blocked = status(worker, "SigCgt", "SigIgn", "SigBlk")
    java.call("App,init")
    after = status(worker, "SigCgt", "SigIgn", "SigBlk")
    assert after[1:] == [ignored, blocked]
    # what the VM's own code raises; 52 and 62 are for its threads, 33 is glibc's
    own = {"SEGV", "BUS", "FPE", "ILL", "TRAP"}
    new = signals(after[0] & ~caught)
    assert signals(caught & ~after[0]) == set()
    assert new <= {signal.Signals["SIG" + name] for name in own} | {33, 52, 62}


def test_threads_of_the_vm_leave_nginx_its_signals(java):
    java.write_app("App", "return request.body();")
    java.answer("App,init")
    worker = java.nginx.worker
    names = ["TERM", "QUIT", "HUP", "USR1", "USR2", "CHLD", "WINCH", "INT", "ALRM", "IO"]
    nginx = {signal.Signals["SIG" + name] for name in names}
    for thread in Path(f"/proc/{worker}/task").iterdir():
        if thread.name != str(worker):
            (blocked,) = status(f"{worker}/task/{thread.name}", "SigBlk")
            assert signals(blocked) >= nginx


def test_worker_keeps_folder_umask_output_and_environment(java):
    java.write_app("App", 'System.out.println("x"); return request.body();')
    nginx = java.start(lua={"/env": 'return os.getenv("_JAVA_SR_SIGNUM"), os.getenv("CLASSPATH")'})
    process = Path(f"/proc/{nginx.worker}")

    def own():
        links = [os.readlink(process / name) for name in ("cwd", "fd/0", "fd/1", "fd/2")]
        return links, status(nginx.worker, "Umask"), nginx.values("/env")

    before = own()
    java.answer("App,init")
    assert own() == before


@pytest.mark.parametrize("how", ["QUIT", "TERM", "INT"])
def test_nginx_ends_by_its_signals(java, how):
    java.write_app("App", "return request.body();")
    java.answer("App,init")
    assert java.nginx.stop(how) == 0


def test_reload_under_load_loses_no_call(java):
    java.write_app("App", "return request.body();")
    nginx = java.start(
        lua={
            "/many": """
                local rt, right = load(), 0
                for i = 1, 200 do
                    local ok, res = rt:echo(tostring(i))
                    right = right + (ok and res == tostring(i) and 1 or 0)
                end
                return right
            """
        }
    )
    for _ in range(3):
        calls = [nginx.begin("/many?library=ffi_java&cfg=App,init") for _ in range(8)]
        nginx.reload()
        assert [call.result() for call in calls] == [[200]] * 8


def test_usr1_and_winch_are_nginxs(java):
    java.write_app("App", "return request.body();")
    java.answer("App,init")
    java.nginx.log.path.rename(java.nginx.folder / "old.log")
    java.nginx.signal("USR1")
    wait_for(java.nginx.log.path.exists)
    assert java.answer("App,init", "well") == "well"


def test_quit_to_a_worker_is_no_thread_dump(java):
    java.write_app("App", "return request.body();")
    java.answer("App,init")
    worker = java.nginx.worker
    java.nginx.signal("QUIT", worker)
    wait_for(lambda: worker not in java.nginx.started())
    assert not java.nginx.log.find("Full thread dump")


def test_jcmd_works_and_ends_no_worker(java):
    java.write_app("App", "return request.body();")
    java.answer("App,init")
    worker = java.nginx.worker
    run = subprocess.run(
        [tool("jcmd"), str(worker), "Thread.print"], capture_output=True, text=True
    )
    assert '"App,init"' in run.stdout
    assert java.nginx.worker == worker


# ---- exit


@pytest.mark.parametrize(
    "body",
    [
        "System.exit(1);",
        "Runtime.getRuntime().exit(0);",
        "Runtime.getRuntime().halt(7);",
        "new Thread(() -> System.exit(1)).start();",
        "java.util.concurrent.CompletableFuture.runAsync(() -> System.exit(1)).join();",
        "var t = new Thread(() -> Runtime.getRuntime().halt(1)); t.start(); t.join();",
    ],
)
def test_exit_ends_nothing(java, body):
    java.write_app(
        "App",
        f"""
        Runtime.getRuntime().addShutdownHook(new Thread(() -> System.out.println("hook")));
        {body}
        return null;
        """,
    )
    java.write_app("Other", "return request.body();")
    worker = java.nginx.worker
    java.call("App,init")
    java.call("App,init")
    assert java.answer("Other,init", "well") == "well"
    assert java.nginx.worker == worker
    assert not java.nginx.log.find("hook")


def test_exit_in_close_ends_nothing(java):
    java.write(
        "App",
        """
        public class App implements Handler, AutoCloseable {
            static int init(String cfg, long tq) { return RestyFfi.serve(tq, new App()); }
            public byte[] handle(Request request) { return request.body(); }
            public void close() { System.exit(1); }
        }
        """,
    )
    worker = java.nginx.worker
    java.answer("App,init")
    java.unload("App,init")
    java.nginx.log.wait("SecurityException: System.exit")
    assert java.answer("App,init", "again") == "again"
    assert java.nginx.worker == worker


@pytest.mark.parametrize("name", ["USR1", "USR2", "CHLD", "WINCH", "PIPE", "TERM"])
def test_signals_are_not_for_handlers_to_take(java, name):
    java.write_app(
        "App",
        """
        var signal = new sun.misc.Signal(request.text());
        try { sun.misc.Signal.handle(signal, any -> {}); }
        catch (IllegalArgumentException refused) { System.out.println(refused.getMessage()); }
        sun.misc.Signal.raise(signal);
        return null;
        """,
    )
    worker = java.nginx.worker
    java.load("App,init")
    before = status(worker, "SigCgt", "SigIgn")
    ok, rc, why = java.call("App,init", name)
    assert (ok, rc) == (False, 1)
    assert why == f"IllegalArgumentException: Unhandled signal: SIG{name}"
    java.nginx.log.wait(f"Signal already used by VM or OS: SIG{name}")
    assert status(worker, "SigCgt", "SigIgn") == before
    assert java.nginx.worker == worker


# ---- child processes


@FORKS
def test_exit_codes_of_child_processes_arrive(java):
    java.write_app(
        "App",
        """
        int right = 0;
        var all = new ArrayList<Process>();
        for (int i = 0; i < 50; i++) all.add(new ProcessBuilder("sh", "-c", "exit 3").start());
        for (Process process : all) right += process.waitFor() == 3 ? 1 : 0;
        return bytes(right);
        """,
    )
    calls = [java.nginx.begin(java.path("call", "App,init")) for _ in range(4)]
    assert [call.result() for call in calls] == [[True, "50"]] * 4


@FORKS
def test_child_process_can_be_told_to_end(java):
    java.write_app(
        "App",
        """
        Process process = new ProcessBuilder("sleep", "1000").start();
        process.destroy();
        return bytes(process.waitFor());
        """,
    )
    assert java.answer("App,init") == "143"


@FORKS
def test_output_of_a_child_process_is_read(java):
    java.write_app(
        "App",
        """
        Process process = new ProcessBuilder("cat").start();
        process.getOutputStream().write(request.body());
        process.getOutputStream().close();
        return process.getInputStream().readAllBytes();
        """,
    )
    assert java.answer("App,init", "hello") == "hello"


# ---- options


def test_options_are_those_of_java_opts(java):
    java.write_app(
        "App",
        'return bytes(System.getProperty("a") + Runtime.getRuntime().maxMemory() / (1 << 20));',
    )
    java.start(env={"JAVA_OPTS": " -Da=b \t -Xmx77m -Xms77m -XX:+UseParallelGC "})
    assert java.answer("App,init").startswith("b7")


def test_java_opts_cannot_hide_the_jar(java):
    java.write_app("App", "return request.body();")
    java.start(env={"JAVA_OPTS": "-Djava.class.path=/nowhere"})
    assert java.answer("App,init", "x") == "x"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ("-Xnonsense", "Unrecognized option: -Xnonsense"),
        ("-XX:+Nonsense", "Unrecognized VM option 'Nonsense'"),
        ("-Xmx1k", "Too small maximum heap"),
        ("-Xms900g -Xmx900g", "for -Xms and -Xmx of JAVA_OPTS; hs_err_pid"),
        ("-XX:+UseG1GC -XX:+UseParallelGC", "[Cc]onflicting|[Mm]ultiple"),
    ],
)
def test_options_that_the_vm_refuses_are_a_failed_load(java, options, error):
    java.write_app("App", "return request.body();")
    worker = java.start(env={"JAVA_OPTS": options}).worker
    for _ in range(2):
        loaded, why = java.load("App,init")
        assert not loaded
        assert why.startswith("Java does not start: ")
        assert re.search(error, why)
    assert java.nginx.worker == worker


def test_java_home_without_java_is_a_failed_load(java):
    java.write_app("App", "return request.body();")
    java.start(env={"JAVA_HOME": "/nowhere"})
    assert java.load("App,init") == [
        False,
        "no Java in JAVA_HOME: /nowhere/lib/server/libjvm.so is missing",
    ]


def test_unpin_is_without_effect(java):
    java.write_app("App", "return request.body();")
    nginx = java.start(
        lua={
            "/unpin": """
                local rt = assert(ngx.load_ffi("ffi_java", "App,init", {unpin = true}))
                local _, res = rt:echo("x")
                return res, rt:__unload(10)
            """
        }
    )
    assert nginx.values("/unpin") == ["x", True]
    nginx.log.wait("unpin has no effect: its library cannot be unmapped")
    assert nginx.values("/unpin") == ["x", True]
    threads = nginx.usage().threads
    for _ in range(5):
        assert nginx.values("/unpin") == ["x", True]
    wait_for(lambda: nginx.usage().threads <= threads)


def test_text_is_utf8_whatever_the_locale(java, tmp_path):
    java.write_app(
        "App",
        """
        return bytes(java.nio.charset.Charset.defaultCharset() + " "
            + java.nio.file.Files.exists(java.nio.file.Path.of(request.text())));
        """,
    )
    (tmp_path / "ünï").touch()
    assert java.answer("App,init", str(tmp_path / "ünï")) == "UTF-8 true"
