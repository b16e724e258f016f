"""HTML by Jinja2, escaped, from templates in a folder."""

from __future__ import annotations

import json

from jinja2 import Environment, FileSystemLoader, TemplateNotFound, select_autoescape
from resty_ffi import Error, serve


class Pages:
    def __init__(self, cfg: str) -> None:
        """cfg: the folder of the templates."""
        self._templates = Environment(
            loader=FileSystemLoader(cfg), autoescape=select_autoescape(), enable_async=True
        )

    async def render(self, request: bytes | None) -> str:
        """{"page": "hello.html", ...}: the other keys are for the template."""
        values = json.loads(request or b"{}")
        try:
            template = self._templates.get_template(values.pop("page", ""))
        except TemplateNotFound:
            raise Error(404, "no such page") from None
        return await template.render_async(values)


init = serve(Pages)
