"""Someone who does what a document says, block by block, in a folder of its own.

What is in /srv, /opt and /run there is below that folder here. Commands that
would change the machine or take minutes are stood in for by those of tools/: these
check what they are given, against the tree. All else is real.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from . import target
from .config import TESTS
from .port import Port
from .server import Server
from .wait import DEADLINE, wait_for

ROOT = TESTS.parent
TOOLS = TESTS / "tools"

_CARGO_TARGET = ROOT / "build" / "rust"

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run: (.+?) -->\s*\Z", re.DOTALL)
_FILE = re.compile(r"(?:#|//|--|/\*) ([\w./]+\.\w+)(?: \*/)?\n")
_FILE_BEFORE = re.compile(r"`([\w./]+\.\w+)`[^`\n]*:\s*\Z")
_IN_MAIN = re.compile(r"(env|load_module|worker_\w+|user) ")
_EXPECTED = re.compile(r"--> (.*)")


@dataclass(frozen=True)
class Block:
    """A block of a document. file is its name if the document gives it one, reason
    why nobody can run it."""

    line: int
    language: str
    text: str
    file: str | None
    reason: str | None


def blocks(document: Path) -> list[Block]:
    whole = document.read_text()
    found = []
    for match in _FENCE.finditer(whole):
        before, (language, text) = whole[: match.start()], match.groups()
        file = _FILE.match(text) or _FILE_BEFORE.search(before)
        reason = _NOT_RUN.search(before)
        found.append(
            Block(
                line=before.count("\n") + 1,
                language=language,
                text=text,
                file=file[1] if file else None,
                reason=reason[1] if reason else None,
            )
        )
    return found


def indented(document: Path) -> list[str]:
    """Lines of code that no fence tells the language of."""
    whole = _FENCE.sub("", document.read_text())
    return re.findall(r"\n\n( {4}\S.*)", whole)


class Reader:
    """Runs blocks in their order. make_server is the fixture server, wraps what
    fragments of a language are put into, "@" being the fragment."""

    def __init__(
        self,
        folder: Path,
        make_server: Callable[..., Server],
        cwd: str = "srv/app",
        wraps: dict[str, str] | None = None,
    ) -> None:
        self._folder = folder
        self._cwd = folder / cwd
        self._make_server = make_server
        self._wraps = wraps or {}
        self._server: Server | None = None
        self._port = Port()
        self._closing = ExitStack()
        self._closing.callback(self._port.release)
        for path in (self._cwd, folder / "srv/lib", folder / "run"):
            path.mkdir(parents=True)

    def close(self) -> None:
        self._closing.close()

    def write(self, name: str, text: str) -> None:
        path = self._cwd / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self._here(text))
        if name == "Cargo.toml":
            shutil.copy(ROOT / "Cargo.lock", self._cwd)
            (self._cwd / "target").symlink_to(_CARGO_TARGET)

    def do(self, block: Block) -> None:
        """Raises AssertionError where it does not work."""
        if block.file:
            self.write(block.file, block.text)
        else:
            run: Callable[[str], None] = getattr(self, f"_do_{block.language}")
            run(self._here(self._wraps.get(block.language, "@").replace("@", block.text)))

    def _here(self, text: str) -> str:
        text = re.sub(r"(?<![\w/.])/(srv|opt|run)/", rf"{self._folder}/\1/", text)
        return text.replace("/path/to/resty-ffi", str(ROOT))

    # ---- commands

    def _do_sh(self, text: str) -> None:
        if text.startswith("resty-ffi run"):
            return self._background(text)
        text = text.replace("http://127.0.0.1:8080", f"http://127.0.0.1:{self._port.number}")
        if self._server:
            text = text.replace("http://127.0.0.1/", f"{self._server.url}/")
        after = self._folder / "cwd"
        run = self._run(["sh", "-euc", f"{text}\npwd > {after}"])
        assert run.returncode == 0, f"{text}{run.stdout}{run.stderr}"
        self._cwd = Path(after.read_text().rstrip("\n"))
        return None

    def _run(self, command: list[Any]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self._cwd, env=self._environment(), capture_output=True, text=True
        )

    def _background(self, text: str) -> None:
        command = ["sh", "-euc", f"exec {text}"]
        process = subprocess.Popen(command, cwd=self._cwd, env=self._environment())
        self._closing.callback(process.wait, DEADLINE)
        self._closing.callback(process.send_signal, signal.SIGINT)
        curl = ["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{self._port.number}/"]
        wait_for(lambda: subprocess.run(curl, check=False).returncode == 0)

    def _environment(self) -> dict[str, str]:
        path = [str(TOOLS), str(Path(sys.executable).parent), os.environ["PATH"], "/usr/sbin"]
        if "JAVA_HOME" in os.environ:
            path.insert(1, f"{os.environ['JAVA_HOME']}/bin")
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        return {
            **environment,
            "PATH": ":".join(path),
            "NGINX_BIN": target.find().nginx,
            "CARGO_TARGET_DIR": str(_CARGO_TARGET),
            "READER_BIN": str(Path(sys.executable).parent),
            "READER_PORT": str(self._port.number),
            "READER_ROOT": str(ROOT),
            "READER_URL": self._server.url if self._server else "",
            "READER_WORKER": str(self._server.worker) if self._server else "",
        }

    # ---- nginx

    def _start(self, **config: Any) -> Server:
        loaders = target.find().loader_folders()
        if "lua_ffi_library_path" in config.get("http", ""):
            also = " ".join(map(str, loaders))
            config["http"] = re.sub(r"(library_path .*);", rf"\1 {also};", config["http"])
            loaders = []
        else:
            loaders = [self._folder / "srv/lib", *loaders]
        self._server = self._make_server(library_path=loaders, **config)
        return self._server

    def _nginx_conf(self, text: str) -> dict[str, str]:
        whole = re.fullmatch(r"http \{\n(.*)\n\}\n", text, re.DOTALL)
        if not whole:
            where = "main" if _IN_MAIN.match(text) else "server" if "location" in text else "http"
            return {where: text}
        http, _, server = whole[1].partition("server {")
        return {"http": http, "server": server.rstrip().removesuffix("}")}

    def _do_nginx(self, text: str) -> None:
        config = self._nginx_conf(text)
        socket = self._folder / "backend"
        if "http://backend" in text:
            config["http"] = f"""{config.get("http", "")}
                upstream backend {{ server unix:{socket}; }}
                server {{ listen unix:{socket}; location / {{ return 204; }} }}
            """
        nginx = self._start(**config)
        for path in re.findall(r"location (?:[=~^*]+ )?(\S+) \{", text):
            answer = nginx.get(path)
            assert answer.status_code < 500, f"{path}: {answer.status_code}\n{nginx.log.tail(20)}"

    def _do_lua(self, text: str) -> None:
        location = f"location / {{ content_by_lua_block {{\n{text}\n}} }}"
        answer = self._start(server=location).get("/")
        assert answer.status_code == 200, f"{text}\n{self._server.log.tail(20)}"
        expected = _EXPECTED.findall(text)
        assert not expected or answer.text.splitlines() == expected, answer.text

    # ---- fragments

    def _do_python(self, text: str) -> None:
        run = self._run([sys.executable, "-c", text])
        assert run.returncode == 0, run.stderr

    def _do_js(self, text: str) -> None:
        packages = target.find().libdir / "node_modules"
        run = self._run(["env", f"NODE_PATH={packages}", "node", "-e", text])
        assert run.returncode == 0, run.stderr

    def _do_rust(self, text: str) -> None:
        """A part of an example, which is compiled and tested as such."""
        sources = (ROOT / "examples" / "rust").rglob("*.rs")
        assert any(_flat(text) in _flat(source.read_text()) for source in sources), text


def _flat(text: str) -> str:
    return "\n".join(line.strip() for line in text.splitlines())
