"""The web process and the worker beside it."""

import ipaddress
import socket
import subprocess
import sys
import threading
import time
from types import FrameType
from urllib.parse import urlencode

import structlog
import uvicorn

from app import __version__, tracing
from app.actor import LOCAL
from app.commands.session import say
from app.config import Settings
from app.db import Database
from app.errors import Unavailable
from app.models.people import User
from app.services.accounts import people, sessions
from app.web.app import create_app

RESTART_SECONDS = 2.0
SWITCH_SECONDS = 0.0005
"""A request asks the database some forty times, and each time waits for its turn again behind a thread that
computes, such as one that writes an export: Python's own 5 ms add up to a fifth of a second."""

log = structlog.get_logger(__name__)


def run_server(settings: Settings, database: Database, *, path: str, with_worker: bool) -> None:
    """Serve until stopped; the worker is started again should it die."""
    _check_address(settings, database)
    bound = bind(settings)
    host, port = bound.getsockname()[:2]
    settings = settings.model_copy(update={"port": port})
    app = create_app(settings, database)
    server = Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=5, server_header=False))
    sys.setswitchinterval(SWITCH_SECONDS)
    keeper = WorkerKeeper(settings) if with_worker else None
    if keeper:
        keeper.start()
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 — compared, not bound
    start = f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"
    say(f"Setright is at {start}{_way_in(settings, database, path)} (stop with Ctrl+C)")
    sys.stdout.flush()
    try:
        with tracing.telling(settings, database.engine, process="web", version=__version__):
            server.run(sockets=[bound])
    finally:
        app.state.helper.close()
        if keeper:
            keeper.stop()


class Server(uvicorn.Server):
    """Ends the streams that pages listen to as soon as it is asked to stop."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Take a signal to stop."""
        self.config.app.state.live.close()  # type: ignore[union-attr]  # it is our own app
        super().handle_exit(sig, frame)


def _check_address(settings: Settings, database: Database) -> None:
    if is_loopback(settings.host):
        return
    with database.read() as session:
        if not people.has_admin(session):
            raise Unavailable(
                f"{settings.host} can be reached by others, and nobody has a login: add an admin first with "
                "`setright user add NAME --role admin`, or listen on 127.0.0.1."
            )


def _way_in(settings: Settings, database: Database, path: str) -> str:
    """Return the path to open first: while nobody has a login, a link that shows who started the server."""
    with database.read() as session:
        is_open = people.has_logins(session) or settings.local_access == "open"
    if is_open:
        return path
    with database.write() as session:
        local = session.get_one(User, LOCAL.user_id)
        key = sessions.make_link(session, local, hours=settings.session_hours, actor=LOCAL)
    return f"/open?{urlencode({'key': key} | ({'next': path} if path != '/' else {}))}"


def is_loopback(host: str) -> bool:
    """Say whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bind(settings: Settings) -> socket.socket:
    """Return a socket that listens where the settings say."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Without its protocol's number asyncio takes no connection of it for TCP, and holds back the second half
    # of each answer until the client's system says that it has the first: 40 ms every time.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((settings.host, settings.port))
        bound.listen()  # whoever follows the printed address at once waits a moment, and is not refused
    except OSError as error:
        bound.close()
        raise Unavailable(
            f"Port {settings.port} of {settings.host} cannot be used ({error.strerror}): "
            "say another one with --port."
        ) from None
    return bound


class WorkerKeeper:
    """Keeps one worker process running; it ends when this process does, however that ends."""

    def __init__(self, settings: Settings) -> None:
        self._environment = settings.environment()
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, daemon=True)

    def start(self) -> None:
        """Start the worker and watch it."""
        self._thread.start()

    def stop(self) -> None:
        """Ask the worker to end, and wait for it."""
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            if process.stdin is not None:
                process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()  # its jobs go on where they were when a worker is next started
                process.wait()

    def _keep(self) -> None:
        while not self._stopping.is_set():
            command = [sys.executable, "-m", "app.cli", "worker", "--until-stdin-closes"]
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=self._environment
            )
            code = self._process.wait()
            if not self._stopping.is_set():
                log.warning("the worker ended and is started again", exit_code=code)
                time.sleep(RESTART_SECONDS)
