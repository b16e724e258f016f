"""No file system can be written to, but for nginx's own folder."""

import subprocess

import pytest

READ_ONLY = """
mount --bind . . &&
while read -r device folder type rest; do
    case $folder in
    /proc* | /sys* | "$PWD") ;;
    *) mount -o remount,bind,ro "$folder" || exit ;;
    esac
done < /proc/self/mounts &&
exec "$@"
"""

LAUNCHER = ["unshare", "--mount", "sh", "-c", READ_ONLY, "sh"]


@pytest.fixture(scope="session")
def launcher():
    """Nothing where this user, or this container, may not mount; then there is no
    folder for temporary files all the same."""
    allowed = subprocess.run(["unshare", "--mount", "mount", "--bind", "/", "/"]).returncode == 0
    return LAUNCHER if allowed else []


def test_runtimes_need_no_file_system_that_can_be_written_to(server, launcher, lang):
    nginx = server(
        launcher=launcher,
        env={"TMPDIR": "/nonexistent"},
        prelude=lang.prelude,
        lua="""
            local rt = load_app("echo", {unpin = true})
            local called, answer = rt:echo("hello")
            local reloaded, err = rt:__reload()
            return called, answer, reloaded, err, rt:__unload(10), load_app("echo"):echo("again")
        """,
    )
    assert nginx.values() == [True, "hello", True, None, True, True, "again"]


def test_file_system_cannot_be_written_to(server, launcher, tmp_path):
    """What the test above rests on."""
    nginx = server(launcher=launcher, lua=f'return io.open("{tmp_path}/file", "w") ~= nil')
    assert nginx.values() == [not launcher]
