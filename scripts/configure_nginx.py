"""Makes nginx's ngx_auto_*.h: configure_nginx.py SOURCE CONFIG_H HEADERS_H.

nginx-dev ships the sources and the arguments that Debian's nginx was built
with (conf_flags), but not these headers.  A tree without conf_flags is
configured with --with-compat and nginx's defaults.

configure writes a Makefile beside itself, so it runs in a folder of links and
the source tree stays as it is.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CONFIGURE = """
set -e
NGX_CONF_FLAGS=(--with-compat)
if [ -e ./conf_flags ]; then . ./conf_flags; fi
if [ -e ./configure ]; then configure=./configure; else configure=auto/configure; fi
"$configure" "${NGX_CONF_FLAGS[@]}" --builddir=resty-ffi
"""


def main() -> None:
    source, *headers = map(Path, sys.argv[1:])

    with tempfile.TemporaryDirectory(prefix="nginx-configure-") as folder:
        tree, objs = Path(folder, "tree"), Path(folder, "tree", "resty-ffi")

        tree.mkdir()
        for entry in source.resolve().iterdir():
            (tree / entry.name).symlink_to(entry)
        # A left-over Makefile would be written through its link.
        (tree / "Makefile").unlink(missing_ok=True)

        run = subprocess.run(
            ["bash", "-c", CONFIGURE],
            cwd=tree,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if run.returncode != 0:
            sys.exit(f"{run.stdout}\nnginx's configure failed, see above")

        for header in headers:
            shutil.copyfile(objs / header.name, header)


if __name__ == "__main__":
    main()
