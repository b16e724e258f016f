"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
import re
from datetime import date
from pathlib import Path

from harness import target


def describe() -> list[str]:
    cpu = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    return [
        f"{date.today()}: {os.cpu_count()} cores, {cpu.group(1) if cpu else platform.machine()}, "
        f"{int(memory.group(1)) >> 20 if memory else '?'} GiB, Linux {platform.release()}",
        *target.find().report(),
    ]
