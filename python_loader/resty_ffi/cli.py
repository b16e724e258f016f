"""The console command resty-ffi."""

from __future__ import annotations

import argparse
import sys

from . import doctor, loaders, reload, run, status, top
from ._build import VERSION
from .nginx import Nginx, NginxError
from .paths import LIBDIR, MODULE

_HTTP_LINES = """\
# Inside http { }; these are the defaults, change them or leave them out:
lua_ffi_max_queue 65536;       # unanswered calls per runtime
lua_ffi_timeout 60s;           # time that a call may take
lua_ffi_shutdown_timeout 30s;  # time that the end of a worker may take"""


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)

    try:
        return int(arguments.command(arguments))
    except NginxError as error:
        print(f'resty-ffi: {error}; "resty-ffi doctor" says how to mend it', file=sys.stderr)
        return 1
    except loaders.LoaderError as error:
        print(f"resty-ffi: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="resty-ffi", description="Finds, configures and checks the nginx module of resty-ffi."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    commands = parser.add_subparsers(title="commands", metavar="command", required=True)

    add = commands.add_parser("module-path", help="print the path of the nginx module")
    add.set_defaults(command=_module_path)

    add = commands.add_parser("libdir", help="print the folder of the loaders")
    add.set_defaults(command=_libdir)

    add = commands.add_parser("conf", help="print the lines to paste into nginx.conf")
    add.set_defaults(command=_conf)
    _add_nginx(add)

    add = commands.add_parser("doctor", help="check the installation and say how to mend it")
    add.set_defaults(command=_doctor)
    _add_nginx(add)

    add = commands.add_parser("run", help="serve HTTP with a Python handler")
    add.set_defaults(command=_run)
    add.add_argument("handler", help="module:name, e.g. app:handle or src/app.py:KV")
    add.add_argument("--host", default="127.0.0.1", help="address (default: %(default)s)")
    add.add_argument("--port", type=int, default=8080, help="0: any (default: %(default)s)")
    add.add_argument("--workers", type=_count, default=1, help="processes (default: %(default)s)")
    add.add_argument(
        "--max-body", default="64m", metavar="SIZE", help="of a request (default: %(default)s)"
    )
    add.add_argument("--reload", action="store_true", help="follow changes of the code")
    add.add_argument("--cfg", default="", help="the handler's configuration")
    _add_nginx(add)

    add = commands.add_parser("reload", help="have a running nginx load fresh code")
    add.set_defaults(command=_reload)
    add.add_argument("library", help="as ngx.load_ffi() gets it, e.g. ffi_python3")
    add.add_argument("cfg", nargs="?", help="only the runtime of this configuration")
    add.add_argument(
        "--url", default=reload.DEFAULT_URL, help="of serve_reload() (default: %(default)s)"
    )

    add = commands.add_parser("status", help="print what a running nginx counted")
    add.set_defaults(command=_status)
    _add_status_url(add)

    add = commands.add_parser("top", help="print it again and again, the busiest runtime first")
    add.set_defaults(command=_top)
    _add_status_url(add)
    add.add_argument(
        "--interval", type=_seconds, default=2.0, help="seconds in between (default: %(default)s)"
    )
    add.add_argument("--rounds", type=_count, default=0, help="how often (default: until ^C)")

    add = commands.add_parser("use", help="choose the Python that ffi_python3 is")
    add.set_defaults(command=_use)
    add.add_argument("version", nargs="?", help="e.g. 3.12; without it the versions are listed")

    return parser


def _add_nginx(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--nginx",
        metavar="PATH",
        help="the nginx to use (default: $NGINX_BIN, else openresty, else nginx)",
    )


def _add_status_url(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "url",
        nargs="?",
        default=status.DEFAULT_URL,
        help="of the location with lua_ffi_status (default: %(default)s)",
    )


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number < 3600:
        raise argparse.ArgumentTypeError("it takes more than 0 and less than 3600 seconds")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("it takes 1 or more")
    return number


def _module_path(_: argparse.Namespace) -> int:
    print(MODULE)
    return 0


def _libdir(_: argparse.Namespace) -> int:
    print(LIBDIR)
    return 0


def _conf(arguments: argparse.Namespace) -> int:
    nginx = Nginx.find(arguments.nginx)
    loaded = nginx.loaded_modules()
    missing = [path for path in [*nginx.lua_modules(), MODULE] if path.name not in loaded]

    if missing:
        print(f"# At the top of {nginx.conf_path}, outside of every block:")
        for module in missing:
            print(f"load_module {module};")
        print()
    print(_HTTP_LINES)
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    return doctor.main(arguments.nginx)


def _run(arguments: argparse.Namespace) -> int:
    return run.main(
        arguments.handler,
        host=arguments.host,
        port=arguments.port,
        workers=arguments.workers,
        reload=arguments.reload,
        cfg=arguments.cfg,
        max_body=arguments.max_body,
        nginx=arguments.nginx,
    )


def _reload(arguments: argparse.Namespace) -> int:
    return reload.main(arguments.library, arguments.cfg, arguments.url)


def _status(arguments: argparse.Namespace) -> int:
    return status.main(arguments.url)


def _top(arguments: argparse.Namespace) -> int:
    return top.main(arguments.url, arguments.interval, arguments.rounds)


def _use(arguments: argparse.Namespace) -> int:
    if arguments.version:
        loaders.use(arguments.version)
    default = loaders.default()
    for version in loaders.versions():
        print(f"{version} (default)" if version == default else version)
    return 0
