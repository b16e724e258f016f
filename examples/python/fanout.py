"""One request becomes many, at the same time: asyncio and httpx."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
from resty_ffi import current_task, serve


class Fanout:
    def __init__(self, cfg: Any) -> None:
        """cfg: {"base": URL}."""
        self._client = httpx.AsyncClient(base_url=cfg["base"])

    async def prices(self, request: bytes | None) -> str:
        """The prices of the articles in a JSON list; null for what fails."""
        articles = json.loads(request or b"[]")
        found = await asyncio.gather(*map(self._price, articles))
        return json.dumps(dict(zip(articles, found)))

    async def _price(self, article: str) -> Any:
        try:
            # What is left of the time that the caller gives us.
            left = current_task().time_left()
            response = await self._client.get(f"/price/{article}", timeout=left)
            return response.raise_for_status().json()
        except httpx.HTTPError:
            return None

    async def aclose(self) -> None:
        await self._client.aclose()


init = serve(Fanout, cfg=json.loads, concurrency=100)
