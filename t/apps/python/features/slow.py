"""A module that many threads import at once."""

import threading

from features import imports

imports.slow_imports.append(threading.current_thread())
imports.slow_import_began.set()
imports.slow_import_may_end.wait()

NAME = "slow"
