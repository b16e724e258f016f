"""The messages in the sources of what runs in a worker, and in docs/errors.md.

A message is a string literal of two words or more, wherever it is and whoever is
called with it: so none can be missed by a function that nobody listed.  The few
literals that nobody ever reads are named in NO_MESSAGES.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from harness.config import TESTS

ROOT = TESTS.parent

SOURCES = (
    "ngx_module/*.[ch]",
    "lua/resty/**/*.lua",
    "python_loader/src/*.[ch]",
    "python_loader/resty_ffi/*.py",
    "java_loader/src/*.[ch]",
    "java_loader/java/**/*.java",
    "nodejs_loader/src/*.*",
    "nodejs_loader/resty_ffi/*.*js",
    "sdk/go/**/*.go",
    "sdk/rust/resty-ffi/src/**/*.rs",
)

# What has no part in nginx: handlers under test.
TEST_AIDS = re.compile(r"_test\.go|restyffitest|[/_]testing|pytest_plugin|TestRuntime|client\.py")

# What a value stands for: in C, in Go and Rust, in JavaScript, in documents.
VALUE = re.compile(
    r"%(?:\d\$)?[-+0-9.*#]*(?:ui|uz|zu|l*[dsu]|[A-Za-z])"
    r"|\$\{(?:[^{}]|\{[^{}]*\})*\}|\{[\w:?#!]*\}|<[^<>]*>"
)

STRING = {
    ".js": r"'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"|`(?:\\.|[^`\\])*`",
    ".go": r"\"(?:\\.|[^\"\\\n])*\"|`[^`]*`",
    ".lua": r"'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\"",
}
C_STRING = r"\"(?:\\.|[^\"\\])*\""
COMMENT = {".lua": r"--[^\n]*"}
C_COMMENT = r"//[^\n]*|/\*.*?\*/|'(?:\\.|[^'\\\n])'"

ESCAPES = dict.fromkeys("nrt\n", " ")

DOCUMENTATION = re.compile(r"METH_\w+,\s*\".*?\"|_doc(?:,| =)\s*\".*?\"|NULL, \".*?\",\s*NULL")


def sources() -> Iterator[Path]:
    for pattern in SOURCES:
        for path in sorted(ROOT.glob(pattern)):
            if not TEST_AIDS.search(str(path.relative_to(ROOT))):
                yield path


def literals(path: Path) -> Iterator[str]:
    """The string literals of a file, those that follow one another joined."""
    text = path.read_text()
    if path.suffix == ".py":
        yield from _python(ast.parse(text))
        return
    if path.suffix == ".rs":
        text = text.partition("#[cfg(test)]")[0]
    if path.suffix == ".c":
        text = DOCUMENTATION.sub("", text)
    string = STRING.get(path.suffix.replace("mjs", "js"), C_STRING)
    if path.suffix in (".js", ".mjs"):
        string += "|" + C_STRING
    joined = rf"(?:{string})(?:[\s\\]*(?:\+|\.\.)?[\s\\]*(?:{string}))*"
    comment = COMMENT.get(path.suffix, C_COMMENT)
    for match in re.finditer(rf"{comment}|({joined})", text, re.DOTALL):
        if match[1]:
            yield "".join(part[1:-1] for part in re.findall(string, match[1], re.DOTALL))


def _python(tree: ast.Module) -> Iterator[str]:
    skipped: set[int] = set()
    for node in ast.walk(tree):
        # documentation, and what argparse prints when it is asked for help
        is_help = isinstance(node, ast.keyword) and node.arg in ("help", "description")
        if isinstance(node, (ast.Expr, ast.keyword)) and (is_help or isinstance(node, ast.Expr)):
            skipped.add(id(node.value))
        elif isinstance(node, ast.JoinedStr):
            skipped.update(id(value) for value in ast.walk(node) if value is not node)
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(value.value) if isinstance(value, ast.Constant) else "%s"
                for value in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def fixed(message: str) -> list[str]:
    """What is the same in each instance of a message."""
    message = re.sub(r"\\([\s\S])", lambda escape: ESCAPES.get(escape[1], escape[1]), message)
    return [part for part in VALUE.split(re.sub(r"\s+", " ", message)) if part.strip()]


def is_message(literal: str) -> bool:
    text = " ".join(fixed(literal))
    return " " in literal and re.search(r"[A-Za-z]{3}", text) is not None
