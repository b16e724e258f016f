"""What Python code prints, warns of and logs goes to error.log."""

import pytest

NAME = 'ffi: runtime "ffi_python3 app,init": '


@pytest.mark.parametrize(
    ("statement", "level", "line"),
    [
        ("print('out', 'put')", "notice", "out put"),
        ("print('first', end=''); print(' second')", "notice", "first second"),
        ("print('no newline', end='', flush=True)", "notice", "no newline"),
        ("print('error', file=sys.stderr)", "error", "error"),
        ("sys.stdout.buffer.write(b'bytes\\n')", "notice", "bytes"),
        ("print('\\u20ac \\ud800')", "notice", "\u20ac .ud800"),
        ("log.warning('care')", "warn", "care"),
        ("log.error('error')", "error", "error"),
        ("logging.basicConfig(level=logging.DEBUG); log.info('i')", "info", "INFO:app:i"),
        ("logging.basicConfig(level=logging.DEBUG); log.warning('w')", "warn", "WARNING:app:w"),
        ("logging.basicConfig(level=logging.DEBUG); log.critical('c')", "crit", "CRITICAL:app:c"),
        ("warnings.warn('care')", "warn", ".*app.py:.*: UserWarning: care"),
        ("run(lambda: 1 / 0)", "error", "ZeroDivisionError: division by zero"),
        ("run(lambda: print('no newline', end=''))", "notice", "no newline"),
        ("Broken()", "error", "OSError: broken"),
        ("sys.excepthook(OSError, OSError('hook'), None)", "error", "OSError: hook"),
        ("print(Broken.__new__)", "notice", ".*"),
        ("print(handle.__module__, 'someone@1.example')", "notice", "app someone@1.example"),
    ],
)
def test_line_has_its_level_and_the_name_of_the_runtime(python, statement, level, line):
    python.write_app(
        "app.py",
        f"""
        import logging, sys, threading, warnings
        log = logging.getLogger(__name__)
        class Broken:
            def __del__(self): raise OSError("broken")
        def run(function):
            thread = threading.Thread(target=function)
            thread.start()
            thread.join()
        def handle(request): {statement}
        """,
    )
    python.call("app,init")
    python.nginx.log.wait(rf"\[{level}\] .*{NAME}{line}$")


def test_line_of_many_prints_is_not_torn_by_other_threads(python):
    python.write_app(
        "app.py",
        """
        import threading
        def say(word):
            for _ in range(100):
                for letter in word: print(letter, end="")
                print()
        def handle(request):
            threads = [threading.Thread(target=say, args=[word]) for word in ("abcdef", "uvwxyz")]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
        """,
    )
    python.call("app,init")
    for word in "abcdef", "uvwxyz":
        assert python.nginx.log.wait(f"{NAME}{word}$")
    lines = python.nginx.log.find(NAME)
    assert all(line.endswith(("abcdef", "uvwxyz")) for line in lines)


def test_line_that_never_ends_is_not_kept(python):
    python.write_app("app.py", "def handle(request): print('x' * 100000, end='')")
    python.call("app,init")
    python.nginx.log.wait(f"{NAME}xxx")


def test_output_is_that_of_the_runtime_whose_code_runs(python):
    python.write("helper.py", "import logging\ndef say(text): logging.error('%s', text)")
    for app in "first", "second":
        python.write_app(f"{app}.py", "import helper\ndef handle(request): helper.say(request)")
        python.call(f"{app},init", "hello")
        python.nginx.log.wait(f'runtime "ffi_python3 {app},init": .*hello')


def test_thread_of_shared_code_writes_for_the_runtime_that_started_it(python):
    python.write_app(
        "app.py",
        """
        import threading
        def handle(request):
            timer = threading.Timer(0, print, ["from the timer"])
            timer.start()
            timer.join()
        """,
    )
    python.call("app,init")
    python.nginx.log.wait(f"{NAME}from the timer")
