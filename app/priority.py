"""How gladly a process lets the others of its machine go first."""

import os
from contextlib import suppress

STREAMING = 10
"""Of a process that writes a file while somebody waits for it, and others for a page."""


def give_way(niceness: int) -> None:
    """Take a lower priority, for good, where the system knows and allows it: before any thread is started."""
    if hasattr(os, "nice"):
        with suppress(OSError):
            os.nice(niceness)
