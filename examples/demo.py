"""make demo: nginx answers with Python, on a free port of the loopback interface.

Serves until Ctrl-C, or ends at once when standard input is not a terminal.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from resty_ffi.nginx import Nginx, NginxError
from resty_ffi.paths import MODULE

HANDLER = Path(__file__).parent / "python" / "hello.py"

MAIN = """\
{load_modules}
env PYTHONPATH={folder};
{user}
daemon off;
pid nginx.pid;
error_log error.log notice;
events {{}}
"""

HTTP = """\
http {{
    access_log off;
    {temp_paths}

    server {{
        listen 127.0.0.1:{port};

        # A library and a configuration make a runtime.
        location /hello {{
            content_by_lua_block {{
                local hello = assert(ngx.load_ffi("ffi_python3", "hello?,init,Hello"))
                local ok, answer = hello:greet(ngx.var.arg_name)
                ngx.say(answer)
            }}
        }}

        # Another configuration: another runtime, from the same file.
        location /bonjour {{
            content_by_lua_block {{
                local hello = assert(ngx.load_ffi("ffi_python3", "hello?,init,Bonjour"))
                local ok, answer = hello:greet(ngx.var.arg_name)
                ngx.say(answer)
            }}
        }}

        # The next load reads the file again: the "?" asks for it.
        location /reload {{
            content_by_lua_block {{
                local hello = assert(ngx.load_ffi("ffi_python3", "hello?,init,Hello"))
                hello:__unload()
                ngx.say("unloaded")
            }}
        }}
    }}
}}
"""


class DemoError(Exception):
    """The demo cannot go on; the message says why."""


def main() -> int:
    # So that nginx is stopped and the folder removed then, too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))

    try:
        with tempfile.TemporaryDirectory(prefix="resty-ffi-demo-") as folder:
            run(Path(folder))
    except KeyboardInterrupt:
        print()
    except (DemoError, NginxError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    return 0


def run(folder: Path) -> None:
    nginx = Nginx.find()
    port = free_port()
    handler = Path(shutil.copy(HANDLER, folder))
    conf = write_conf(nginx, folder, port)

    title("The handler", handler)
    print(handler.read_text())
    title("The configuration", conf)
    print(conf.read_text())

    with started(nginx, folder, port):
        url = f"http://127.0.0.1:{port}"

        title("A request and its answer")
        get(f"{url}/hello?name=World")

        title("Another configuration is another runtime")
        get(f"{url}/bonjour?name=World")

        title('"Hello" is edited while nginx runs')
        edit(handler, "!", ", how are you?")
        get(f"{url}/reload")
        get(f"{url}/hello?name=World")
        print("\nThe other runtime still runs the code that it was loaded with:")
        get(f"{url}/bonjour?name=World")

        if sys.stdin.isatty():
            title(f"Serving at {url} until Ctrl-C")
            signal.pause()


def write_conf(nginx: Nginx, folder: Path, port: int) -> Path:
    text = MAIN.format(
        load_modules="\n".join(f"load_module {path};" for path in [*nginx.lua_modules(), MODULE]),
        folder=folder,
        # Only root's nginx changes its user: and that one might not be allowed
        # to read the environment that resty-ffi is installed in.
        user=f"user {getpass.getuser()};" if os.geteuid() == 0 else "",
    ) + HTTP.format(temp_paths="\n    ".join(nginx.temp_paths()), port=port)

    conf = folder / "nginx.conf"
    conf.write_text(text)
    return conf


@contextmanager
def started(nginx: Nginx, folder: Path, port: int) -> Iterator[None]:
    log = folder / "error.log"
    process = subprocess.Popen(
        [nginx.path, "-p", folder, "-c", folder / "nginx.conf", "-e", log],
        # Ctrl-C is for the demo: it stops nginx.
        start_new_session=True,
    )
    try:
        wait_until_listening(process, port)
        yield
    except (DemoError, urllib.error.URLError) as error:
        text = log.read_text() if log.exists() else ""
        raise DemoError(f"{error}; nginx's error.log:\n{text}") from None
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 10

    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise DemoError(f"nginx ended with status {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)

    raise DemoError("nginx does not listen")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    print(f"$ sed -i 's/{old}/{new}/' {path}")
    path.write_text(text.replace(old, new))


def get(url: str) -> None:
    print(f"$ curl {url!r}")
    with urllib.request.urlopen(url, timeout=10) as response:
        print(response.read().decode(), end="")


def title(text: str, path: Path | None = None) -> None:
    print(f"\n--- {text}" + (f": {path}" if path else ""), flush=True)


if __name__ == "__main__":
    sys.exit(main())
