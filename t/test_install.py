"""The package as one gets it: from its sdist, in an environment that has nothing else."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness.config import TESTS
from harness.run import running

pytestmark = pytest.mark.no_asan("the command starts an nginx of its own, without libasan")

BUILD = "import sys, mesonpy; print(mesonpy.build_sdist(sys.argv[1]))"


def test_sdist_installs_in_a_clean_environment_and_serves(tmp_path):
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(
        [sys.executable, "-c", BUILD, tmp_path],
        cwd=TESTS.parent,
        env={**os.environ, "PATH": path},
        check=True,
    )
    (sdist,) = tmp_path.glob("resty_ffi-*.tar.gz")
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    install = [tmp_path / "venv" / "bin" / "pip", "install", "--quiet", sdist]
    subprocess.run(install, cwd=tmp_path, check=True)
    (tmp_path / "app.py").write_text("def handle(request): return request.upper()\n")
    command = tmp_path / "venv" / "bin" / "resty-ffi"
    with running(tmp_path, handler="app:handle", command=command) as run:
        assert run.ask("/", "hello") == (200, "HELLO")
