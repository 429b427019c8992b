"""The reference pages say what the code says."""

import pytest

from docs import generate


@pytest.mark.parametrize("name", generate.PAGES)
def test_a_reference_page_is_current(name: str) -> None:
    written = (generate.ROOT / name).read_text(encoding="utf-8")
    assert written == generate.PAGES[name](), "run `make docs`"


def test_every_setting_says_what_it_does() -> None:
    assert "| None |" not in generate.settings_page()


def test_every_command_says_what_it_does() -> None:
    page = generate.commands_page()
    silent = [part.splitlines()[0] for part in page.split("\n## ")[1:] if not part.splitlines()[2].strip()]
    assert silent == []
    assert "## setright serve" in page
