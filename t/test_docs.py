"""What README.md and docs/ tell people to type is done, block by block, by harness.reader."""

import re

import pytest
from harness import process, reader, target
from harness.reader import ROOT, Reader

pytestmark = pytest.mark.no_asan("most of it runs without nginx, or in one of its own")

DOCUMENTS = {
    path.name: path
    for path in (ROOT / "README.md", ROOT / "examples" / "README.md", *ROOT.glob("docs/*.md"))
    if reader.blocks(path)
}

# Blocks that have an HTML comment "not run" with the reason.
NOT_RUN = 1

# Where a document's commands are typed, when that is not /srv/app.
FOLDERS = {"rust.md": "srv/counter"}

# What fragments are put into, for @.
WRAPS = {
    "python.md": {
        "python": """
import asyncio
import resty_ffi
from resty_ffi.testing import Runtime
async def book(request):
    await asyncio.sleep(0)
    return b"paid " + request
@
with Runtime(resty_ffi.serve(Shop)) as shop:
    assert shop.pay(b"5") == b"paid 5"
""",
    },
}


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_reader_can_do_what_it_says(name, tmp_path, server):
    follower = Reader(tmp_path, server, cwd=FOLDERS.get(name, "srv/app"), wraps=WRAPS.get(name, {}))
    try:
        for block in reader.blocks(DOCUMENTS[name]):
            if not block.reason and block.language != "text":
                follower.do(block)
    finally:
        follower.close()


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_code_says_its_language(name):
    assert all(block.language for block in reader.blocks(DOCUMENTS[name]))
    assert reader.indented(DOCUMENTS[name]) == []


# Commands that find files by themselves.
FINDERS = re.compile(r"^(pytest|cargo|go (test|build)|.*node --test)", re.MULTILINE)


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_each_file_is_run(name):
    found = reader.blocks(DOCUMENTS[name])
    for number, block in enumerate(found):
        if block.file:
            stem = block.file.split(".")[0]
            later = [other.text for other in found[number + 1 :] if not other.reason]
            assert any(stem in text or FINDERS.search(text) for text in later), block.file


def test_few_blocks_are_not_run():
    skipped = [
        f"{name}:{block.line}: {block.reason}"
        for name, path in DOCUMENTS.items()
        for block in reader.blocks(path)
        if block.reason
    ]
    assert len(skipped) == NOT_RUN, "\n".join(skipped)


def inline(pattern):
    """What comes behind it in code within a line, in all documents."""
    texts = [path.read_text() for path in (ROOT / "README.md", *ROOT.glob("*/*.md"))]
    code = [code for text in texts for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]
    return {match[1] for line in code if (match := re.match(pattern, " ".join(line.split())))}


def test_verbs_and_commands_in_the_text_are_there():
    verbs = inline(r"make ([a-z][\w-]*)")
    makefile = (ROOT / "Makefile").read_text()
    assert len(verbs) > 5
    assert [verb for verb in verbs if not re.search(rf"^{verb}:", makefile, re.MULTILINE)] == []
    commands = inline(r"resty-ffi ([a-z][\w-]*)")
    cli = (ROOT / "python_loader" / "resty_ffi" / "cli.py").read_text()
    assert len(commands) > 4
    assert [command for command in commands if f'"{command}"' not in cli] == []


def test_files_in_the_text_are_there():
    paths = inline(r"((?:scripts|t|examples|sdk|bench|ngx_module)/[\w./-]+)")
    assert len(paths) > 5
    assert [path for path in paths if not (ROOT / path.rstrip(".")).exists()] == []


LUA_DOC = DOCUMENTS["lua.md"].read_text()


def test_lua_doc_has_every_directive():
    module = (ROOT / "ngx_module" / "ngx_http_lua_ffi_module.c").read_text()
    directives = re.findall(r'ngx_string\("(lua_ffi_\w+)"\)', module)
    assert directives
    assert [name for name in directives if f"| `{name}` " not in LUA_DOC] == []


def test_lua_doc_has_every_option_and_function():
    source = (ROOT / "lua" / "resty" / "ffi.lua").read_text()
    options = set(re.findall(r"\bopts\.(\w+)", source))
    functions = set(re.findall(r"^    (\w+) = [\w.]+,$", source.rpartition("return {")[2], re.M))
    operations = set(re.findall(r"^    (__\w+) = \w+,$", source, re.MULTILINE))
    assert len(options) >= 9
    assert {"load", "reload"} <= functions
    assert {"__unload", "__reload"} <= operations
    assert [name for name in options if f"| `{name}` |" not in LUA_DOC] == []
    assert [name for name in functions if f"`{name}`" not in LUA_DOC] == []
    assert [name for name in operations if f"## rt:{name}" not in LUA_DOC] == []


def anchors(path):
    """What GitHub makes of the headings."""
    code = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", code.sub("", path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize(
    "path", [ROOT / "README.md", *sorted(ROOT.glob("*/*.md"))], ids=lambda path: path.name
)
def test_links_lead_somewhere(path):
    dead = []
    for link in re.findall(r"\]\((?!https?:)([^)\s]+)\)", path.read_text()):
        name, _, anchor = link.partition("#")
        there = path.parent / name if name else path
        if not there.exists() or (anchor and anchor not in anchors(there)):
            dead.append(link)
    assert dead == []


@pytest.fixture
def counter(tmp_path):
    """The folder with the files of python.md's first ten minutes."""
    for block in reader.blocks(DOCUMENTS["python.md"]):
        if block.file:
            (tmp_path / block.file).write_text(block.text)
    return tmp_path


def test_location_lets_as_many_pass_as_it_says(counter, resty_ffi_nginx, monkeypatch):
    monkeypatch.setenv("NGINX_BIN", target.find().nginx)
    (location,) = (
        block.text
        for block in reader.blocks(DOCUMENTS["python.md"])
        if "location /api/" in block.text
    )
    site = resty_ffi_nginx(
        "counter:init",
        cfg='{"limit": 1}',
        folder=counter,
        http="upstream backend { server unix:/nonexistent; }",
        server=location.replace("/srv/app", str(counter)),
    )
    statuses = [site.get("/api/").status for _ in range(101)]
    assert statuses == [502] * 100 + [429]


def named(table):
    """The names in the first column of a table, <n> being a number, <x> a text."""
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    patterns = [re.sub(r"<\w+>", ".+", name.replace("<n>", "[0-9]+")) for name in names]
    return [re.compile(pattern) for pattern in patterns]


def test_threads_have_the_names_of_the_table(server):
    loads = """
        assert(ngx.load_ffi("echo"))
        assert(ngx.load_ffi("go_apps", "echo"))
        assert(ngx.load_ffi("rust_apps", "echo"))
        assert(ngx.load_ffi("ffi_python3", "echo,init"))
        assert(ngx.load_ffi("ffi_nodejs", "echo,init"))
    """
    nginx = server(lua=loads)
    nginx.values()
    document = DOCUMENTS["overview.md"].read_text()
    table = document.partition("| name |")[2].partition("\n\n")[0]
    found = set(process.thread_names(nginx.worker))
    assert {name for name in found if not any(p.fullmatch(name) for p in named(table))} == set()
    assert found >= {"nginx", "ffi-1", "ffi-2", "ffi-3", "ffi-4", "ffi-5", "ffi-python"}


BROKEN = {
    "command that fails": "```sh\nfalse\n```",
    "package that nobody installs": "```sh\napt-get install no-such-package\n```",
    "option of the build that is none": "```sh\npip install . -Csetup-args=-Dno-such=1\n```",
    "verb of the Makefile that is none": "```sh\nmake no-such-verb\n```",
    "command of ours that is none": "```sh\nresty-ffi no-such-command\n```",
    "Lua that raises": "```lua\nerror('no')\n```",
    "Lua that says something else": "```lua\nngx.say(1)  --> 2\n```",
    "directive that is none": "```nginx\nlua_ffi_no_such 1;\n```",
    "location that fails": "```nginx\nlocation /a { return 500; }\n```",
    "Python that raises": "```python\nraise ValueError\n```",
    "JavaScript that throws": "```js\nrequire('no-such');\n```",
    "Rust that no example has": "```rust\nfn no_such() {}\n```",
    "a language that nobody runs": "```cobol\nSTOP RUN.\n```",
}


@pytest.mark.parametrize("markdown", BROKEN.values(), ids=BROKEN)
def test_reader_notices(markdown, tmp_path, server):
    document = tmp_path / "broken.md"
    document.write_text(f"Text.\n\n{markdown}\n")
    (block,) = reader.blocks(document)
    sick = []

    def keep(**options):
        sick.append(server(start=False, **options))
        if sick[-1].check_config().returncode:
            raise RuntimeError("nginx does not start")
        sick[-1].start()
        return sick[-1]

    follower = Reader(tmp_path / "reader", keep)
    with pytest.raises((AssertionError, AttributeError, RuntimeError)):
        follower.do(block)
    follower.close()
