"""A folder in memory for what tests write, on machines that have enough of it.

Most of a test's waiting was for the disk: each database is closed with its log written back, and each one of
Postgres is a copy of a thousand files.
"""

import os
import re
import shutil
from pathlib import Path

ROOM_BYTES = 4 * 1024**3
"""What must be to spare, of memory and of the folder's own limit: containers often give it 64 MB."""
_FOLDER = Path("/dev/shm")  # noqa: S108 — whoever writes there makes a folder of their own


def folder(*, otherwise: str) -> str:
    """Return where to make folders: in memory where that has room."""
    has_place = os.access(_FOLDER, os.W_OK) and shutil.disk_usage(_FOLDER).free > ROOM_BYTES
    return str(_FOLDER) if has_place and _available() > ROOM_BYTES else otherwise


def _available() -> int:
    told = Path("/proc/meminfo").read_text(encoding="ascii")
    found = re.search(r"^MemAvailable: +(\d+) kB", told, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
