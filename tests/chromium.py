"""A Chromium for browser tests, and what went wrong in its pages."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request, sync_playwright

RESULTS = Path(__file__).parent.parent / "test-results"
_NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def executable() -> str | None:
    """Return where the machine's Chromium is, if it has one."""
    return next((found for name in _NAMES if (found := shutil.which(name))), None)


@contextmanager
def launched(path: str) -> Iterator[Browser]:
    """Run Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_ARGUMENTS, headless=True)
        try:
            yield browser
        finally:
            browser.close()


_GIVEN_UP = ("htmx:sendAbort,", "htmx:afterRequest,")
"""What htmx writes when a newer request takes the place of one on its way, as pages ask it to do; of one that
fails it writes something else besides."""


def watch(context: BrowserContext, problems: list[str]) -> None:
    """Write down what must not happen in a page: console errors (blocked content too), calls elsewhere."""

    def note_message(message: ConsoleMessage) -> None:
        if message.type == "error" and not message.text.startswith(_GIVEN_UP):
            problems.append(f"console: {message.text}")

    def note_request(request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in {"http", "https", "ws", "wss"} and address.hostname not in _LOOPBACK:
            problems.append(f"request to another host: {request.url}")

    context.on("console", note_message)
    context.on("weberror", lambda error: problems.append(f"uncaught: {error.error}"))
    context.on("request", note_request)


def keep_screenshot(page: Page, node_id: str) -> None:
    """Keep what the page showed when a test failed."""
    RESULTS.mkdir(exist_ok=True)
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", node_id)[-120:]
    page.screenshot(path=RESULTS / f"{name}.png", full_page=True)
