"""The packages that handlers are made of, over hot reload and unload."""

import pytest

WORK = {
    "numpy": """
        import numpy
        def handle(request):
            return str(int(numpy.linalg.det(numpy.eye(3)) * len(request)))
    """,
    "pydantic": """
        from typing import List
        from pydantic import BaseModel
        class Word(BaseModel):
            text: str
            marks: List[int] = []
        def handle(request):
            return str(len(Word(text=request.decode(), marks=["1"]).text))
    """,
    "cryptography": """
        from cryptography.fernet import Fernet
        fernet = Fernet(Fernet.generate_key())
        def handle(request):
            return str(len(fernet.decrypt(fernet.encrypt(request))))
    """,
    "orjson": """
        import orjson
        def handle(request):
            return str(len(orjson.loads(orjson.dumps({"text": request.decode()}))["text"]))
    """,
    "lxml": """
        from lxml import etree
        def handle(request):
            return str(len(etree.fromstring(b"<a>%s</a>" % request).text))
    """,
    "ssl": """
        import ssl
        context = ssl.create_default_context()
        def handle(request):
            left, right = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = context.wrap_bio(left, right, server_hostname="localhost")
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                return str(len(request)) if right.pending else "no hello"
    """,
    "sqlite3": """
        import sqlite3
        database = sqlite3.connect(":memory:")
        database.execute("create table words (text)")
        def handle(request):
            database.execute("insert into words values (?)", [request.decode()])
            return str(database.execute("select length(text) from words").fetchone()[0])
    """,
    "asyncio": """
        import asyncio
        async def part(byte):
            await asyncio.sleep(0)
            return await asyncio.get_running_loop().run_in_executor(None, int, 1)
        async def handle(request):
            return str(sum(await asyncio.gather(*map(part, request))))
    """,
    "uvloop": """
        import asyncio, uvloop
        import resty_ffi
        async def echo(reader, writer):
            writer.write(await reader.read(100))
            await writer.drain()
            writer.close()
        async def handle(request):
            assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
            async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
                address = server.sockets[0].getsockname()
                reader, writer = await asyncio.open_connection(*address)
                writer.write(request)
                answer = await reader.readexactly(len(request))
                writer.close()
            return str(len(answer))
        init = resty_ffi.serve(handle, loop_factory=uvloop.new_event_loop)
    """,
}

MARK = "\ndef mark(): return 'version {}'\n"

BOTH = """
from {name}_work import *
import {name}_work
import resty_ffi
if not hasattr({name}_work, "init"):
    init = resty_ffi.serve(handle)
"""


@pytest.mark.parametrize("name", WORK)
def test_package_works_over_reload_and_unload(python, name):
    python.write(f"{name}_work.py", WORK[name])
    python.write("app.py", BOTH.format(name=name))
    for cfg in ("one", "two"):
        assert python.answer(f"app?,init,{cfg}", "hello") == "5"
    python.unload("app?,init,one")
    assert python.answer("app?,init,two", "hello") == "5"
    for cfg in ("one", "three", "one"):
        assert python.answer(f"app?,init,{cfg}", "hello") == "5"
        python.unload(f"app?,init,{cfg}")
    assert python.answer("app,init", "hello") == "5"


def test_packages_work_side_by_side(python):
    for name, source in WORK.items():
        python.write(f"{name}_work.py", source)
        python.write(f"{name}_app.py", BOTH.format(name=name))
    for _ in range(2):
        for name in WORK:
            assert python.answer(f"{name}_app?,init", "hello") == "5"
        for name in WORK:
            python.unload(f"{name}_app?,init")
