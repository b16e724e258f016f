"""Node.js modules that a test writes, and an nginx that runs them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from .python import Python


class Nodejs(Python):
    """A folder that is in NODE_PATH, and an nginx; used as Python is."""

    library = "ffi_nodejs"
    path_variable = "NODE_PATH"

    def write_app(self, name: str, source: str) -> Path:
        """source defines handle(request, ctx); the entry function is init."""
        head = "const { serve, Error: CallError } = require('resty_ffi');"
        return self.write(name, f"{head}\n{dedent(source)}\nexports.init = serve(handle);\n")
