"""The echo as a server on a unix socket."""

from __future__ import annotations

import asyncio
import sys


class Echo(asyncio.Protocol):
    """Frames: the length in eight hexadecimal digits, then that many bytes.

    A Protocol, as it is about twice as fast as asyncio's streams.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.buffer = bytearray()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while len(self.buffer) >= 8:
            end = 8 + int(self.buffer[:8], 16)
            if len(self.buffer) < end:
                break
            self.transport.write(self.buffer[:end])
            del self.buffer[:end]


async def main(path: str) -> None:
    server = await asyncio.get_running_loop().create_unix_server(Echo, path, backlog=2048)
    await server.serve_forever()


asyncio.run(main(sys.argv[1]))
