"""Makes the pictures of the documentation from the sample dataset: `make screenshots`."""

import tempfile
from pathlib import Path

from app.commands import samples
from app.commands.session import Here, open_database
from app.config import Settings
from tests import chromium
from tests.commands.terminal import Terminal
from tests.loop.serving import serving

FOLDER = Path(__file__).parent / "images"
PICTURES = {"review": "/review", "overview": "", "auto-fix": "/auto-fix?rule=min_confidence&at_least=0.5"}


def main() -> None:
    """Serve the sample and take a picture of each page."""
    path = chromium.executable()
    if path is None:
        raise SystemExit("There is no Chromium: `make test` as root installs it.")
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), database_url="")
        here = Here(settings, open_database(settings))
        dataset = samples.make(here, samples.SUPPORT)
        here.database.close()
        terminal = Terminal(home=Path(home), database_url="", folder=Path(home))
        with serving(terminal) as address, chromium.launched(path) as browser:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            for name, where in PICTURES.items():
                page.goto(f"{address}/datasets/{dataset.id}{where}")
                page.wait_for_load_state("networkidle")
                page.screenshot(path=FOLDER / f"{name}.png")


if __name__ == "__main__":
    main()
