"""docs/errors.md has every message of the sources, and no other."""

import re

from harness import messages

DOC = (messages.ROOT / "docs" / "errors.md").read_text()

# How literals begin that are no messages: code, patterns, parts of nginx.conf, names, and
# what a command prints when all is well.
NO_MESSAGES = tuple(
    """\
# At the top of
# Inside http
--no-turboshaft
%(prog)s
%s (default)
%s serves %s
%s_temp_path
%spid nginx.pid;
, %s without room
<frozen importlib
Address already in use
FAIL  %s
Lua module: %s
When the caller gives up, on
[%s] nginx: %s
\\[(?:emerg
\\tat java.base/
\\tat resty.ffi.internal.
^configure arguments:
^ffi: (?:runtime
^nginx version:
^no method (
a CPython >= 3.8 is needed
a Go library without room
abandoned calls
basic\x20
const { folder } =
guest p
handles need 64-bit pointers
import importlib.machinery
import sys, resty_ffi;
its runtime runs
kept %s: %s
load_module %s;
loop p
lua_ffi_library_path %s;
nginx %s: %s, the module was built
nginx loads the module
nginx's id of the request, if
note  %s
queue p
reloaded %s
reloaded: %s
resty-ffi %s: %s runtimes
resty.ffi runtime
text/plain; charset
this phase cannot wait
use strict
user %s;
W3C's header of the request
worker process \\d+
{load_modules}
""".splitlines()
)


# What shows the metrics, whose words are those of docs/status.md.
TABLES = re.compile(r"ngx_http_lua_ffi_status\w*\.c$")


def documented():
    return re.findall(r"`([^`]+)`", DOC)


def spans():
    """The messages of the document: what its tables have in code, in the first column."""
    return [
        " ".join(code.split())
        for row in re.findall(r"^\| `.*$", DOC, re.MULTILINE)
        for code in re.findall(r"`([^`]+)`", row.split(" | ")[0])
    ]


def literals():
    return {
        (str(path.relative_to(messages.ROOT)), literal)
        for path in messages.sources()
        if not TABLES.search(path.name)
        for literal in messages.literals(path)
        if messages.is_message(literal)
    }


def pieces():
    """What the code puts messages together of."""
    found = {
        part
        for path in messages.sources()
        for literal in messages.literals(path)
        for part in messages.fixed(literal)
    }
    return {part for part in found if len(part) > 1 or not part.isalnum()}


def is_made_of(text, parts):
    """Whether parts, one behind another, are the text."""
    ends = {0}
    for end in range(1, len(text) + 1):
        if any(text[start:end] in parts for start in ends):
            ends.add(end)
    return len(text) in ends


def test_every_message_is_documented():
    text = ["\0".join(messages.fixed(code)) for code in documented()]
    missing = []
    for path, literal in sorted(literals()):
        wanted = re.compile(".*".join(map(re.escape, messages.fixed(literal))))
        if not literal.startswith(NO_MESSAGES) and not any(map(wanted.search, text)):
            missing.append(f"{path}: {literal}")
    assert not missing, "\n".join(missing)


# How the module gives an error of one word.
WORD = re.compile(
    r"(?:error|cancel|settle|failed|lose)\([^;\"]*\"(\w+)\"|(?:verdict|err|error) = \"(\w+)\""
    r"|return \"(\w+)\";|define NGX_HTTP_LUA_FFI_UNLOADED +\"(\w+)\""
)


def test_every_word_is_documented():
    sources = (messages.ROOT / "ngx_module").glob("ngx_http_lua_ffi_*.[ch]")
    found = {
        word
        for source in sources
        if not TABLES.search(source.name)
        for match in WORD.finditer(source.read_text())
        for word in match.groups()
        if word
    }
    assert found >= {"timeout", "unloaded"}
    assert found <= set(documented())


def test_every_documented_message_is_in_the_sources():
    parts = pieces()
    unknown = [
        f"{text!r} of {code}"
        for code in spans()
        for text in messages.fixed(code)
        if re.search(r"[A-Za-z]{3}", text) and not is_made_of(text, parts)
    ]
    assert not unknown, "\n".join(unknown)


def test_every_message_has_a_mend():
    rows = re.findall(r"^\| (.+) \|$", DOC, re.MULTILINE)
    assert [row for row in rows if "" in [cell.strip() for cell in row.split(" | ")]] == []
    assert not re.search(r"\| \|$", DOC, re.MULTILINE)


def test_what_is_no_message_is_there():
    known = [literal for _, literal in literals()]
    stale = [start for start in NO_MESSAGES if not any(text.startswith(start) for text in known)]
    assert not stale


def test_there_are_as_many_messages_as_are_found_by_hand():
    """A pattern that no longer finds what it is for fails here, not silently."""
    found = {}
    for path, _ in literals():
        found[path.split("/")[0]] = found.get(path.split("/")[0], 0) + 1
    fewest = {"ngx_module": 75, "lua": 20, "python_loader": 110, "java_loader": 50}
    fewest |= {"nodejs_loader": 45, "sdk": 10}
    assert all(found[area] >= number for area, number in fewest.items()), found
