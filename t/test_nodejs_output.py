"""Where what Node.js code prints goes."""

import pytest

NAME = 'runtime "ffi_nodejs app,init": '


def say(nodejs, code):
    nodejs.write_app("app.js", f"const handle = () => {{ {code} }};")
    nodejs.call("app,init")
    return nodejs.nginx.log


@pytest.mark.parametrize(
    ("code", "level"),
    [
        ("console.log('said %d', 5)", "notice"),
        ("console.info('said', 5)", "info"),
        ("console.debug('said', 5)", "debug"),
        ("console.warn('said', 5)", "warn"),
        ("console.error('said', 5)", "error"),
        ("console.assert(false, 'said 5')", "warn"),
        ("console.trace('said 5')", "error"),
        ("const { info } = console; info('said 5')", "info"),
        ("process.stdout.write('said 5\\n')", "notice"),
        ("process.stderr.write('said 5\\n')", "error"),
        ("process.emitWarning('said 5')", "warn"),
        ("require('util').deprecate(() => {}, 'said 5', 'D1')()", "warn"),
        ("process._rawDebug('said 5')", "error"),
    ],
)
def test_output_has_a_level(nodejs, code, level):
    if level == "debug":
        nodejs.start(main="error_log debug.log debug;")
        say(nodejs, code)
        nodejs.nginx.log.path = nodejs.nginx.folder / "debug.log"
    log = nodejs.nginx.log if level == "debug" else say(nodejs, code)
    log.wait(rf"\[{level}\] .*{NAME}.*said 5")
    assert len(log.find("said 5")) == 1


def test_lines_are_whole(nodejs):
    log = say(
        nodejs,
        """
        process.stdout.write('one ');
        process.stdout.write(Buffer.from([0xc3]));
        process.stdout.write(Buffer.from([0xbc]));
        process.stdout.write(' line\\nand two\\n');
        """,
    )
    log.wait(f"{NAME}one ü line")
    log.wait(f"{NAME}and two")


def test_long_line_is_not_kept_for_ever(nodejs):
    log = say(nodejs, "process.stdout.write('x'.repeat(100000));")
    log.wait(f"{NAME}xxx")


def test_output_in_a_call_has_the_id_of_its_request(nodejs):
    nodejs.write_app(
        "app.js",
        """
        const handle = async (request) => {
          console.log(`before ${request}`);
          await new Promise((resolve) => setTimeout(resolve, 1));
          console.log(`after ${request}`);
        };
        """,
    )
    nodejs.start(server="lua_ffi_request_id id-$arg_request;")
    for request in "ab":
        nodejs.call("app,init", request)
        for when in ("before", "after"):
            nodejs.nginx.log.wait(f"id-{request}.*{when} {request}")


def test_output_of_worker_threads_is_logged(nodejs):
    log = say(
        nodejs,
        """
        const { Worker } = require('worker_threads');
        const code = "console.log('from a thread'); console.error('trouble')";
        return new Promise((resolve) => {
          new Worker(code, { eval: true }).on('exit', () => setTimeout(resolve, 10));
        });
        """,
    )
    log.wait(rf"\[notice\] .*{NAME}from a thread")
    log.wait(rf"\[error\] .*{NAME}trouble")


def test_output_at_the_top_level_is_logged(nodejs):
    nodejs.write_app("app.js", "console.log('at the top'); const handle = () => null;")
    nodejs.load("app,init")
    nodejs.nginx.log.wait(rf"\[notice\] .*{NAME}at the top")


ENDS = {
    "unload": "return 'x'",
    "process.exit": "process.exit(1)",
    "exception": "setImmediate(() => { throw new Error('lost'); }); return new Promise(() => {})",
}


@pytest.mark.parametrize("how", ENDS)
def test_line_that_is_not_finished_is_logged_at_the_end(nodejs, how):
    nodejs.write_app(
        "app.js",
        f"""
        process.on('exit', () => process.stdout.write('bye'));
        function handle() {{
          process.stdout.write('half');
          process.stderr.write(Buffer.from([0x68, 0xc3]));
          {ENDS[how]};
        }}
        """,
    )
    nodejs.call("app,init")
    if how == "unload":
        nodejs.unload("app,init")
    nodejs.nginx.log.wait(rf"\[notice\] .*{NAME}half")
    nodejs.nginx.log.wait(rf"\[error\] .*{NAME}h\ufffd")
    if how != "exception":
        nodejs.nginx.log.wait(rf"\[notice\] .*{NAME}bye")


def test_line_that_is_not_finished_is_logged_when_the_load_fails(nodejs):
    nodejs.write("app.js", "process.stdout.write('half'); throw new Error('no');")
    nodejs.load("app,init")
    nodejs.nginx.log.wait(f"{NAME}half")


def test_end_of_an_output_is_told(nodejs):
    nodejs.write_app(
        "app.js",
        """
        const { Readable } = require('stream');
        const { pipeline } = require('stream/promises');
        async function handle() {
          await pipeline(Readable.from(['piped ', 'once\\n']), process.stdout);
          await pipeline(Readable.from(['piped twice']), process.stdout);
          await new Promise((resolve) => process.stderr.end(resolve));
          await new Promise((resolve) => process.stderr.end('the end', 'utf8', resolve));
          await new Promise((resolve) => process.stderr.once('finish', resolve).end());
          return 'told';
        }
        """,
    )
    assert nodejs.answer("app,init") == "told"
    for line in ("piped once", "piped twice", "the end"):
        nodejs.nginx.log.wait(f"{NAME}{line}")


def test_output_cannot_be_closed(nodejs):
    log = say(
        nodejs,
        """
        const { Readable } = require('stream');
        process.stdout.end('the end\\n');
        process.stdout.destroy();
        return new Promise((resolve, reject) => {
          require('stream').pipeline(Readable.from(['piped\\n']), process.stderr,
            (error) => (error ? reject(error) : resolve()));
        }).then(() => console.log('still there'));
        """,
    )
    log.wait(f"{NAME}the end")
    log.wait(f"{NAME}piped")
    log.wait(f"{NAME}still there")
