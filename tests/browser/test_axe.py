"""No page has a serious or critical accessibility fault that axe can find, in either theme.

`tests/install_contract_tools.sh` installs axe-core where npm can; it is no part of this project.
"""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from app.db import Database
from app.models.evidence import IssueKind
from tests import factories
from tests.factories import Found

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parent.parent.parent
AXE = ROOT / ".venv/contract/axe/node_modules/axe-core/axe.min.js"
PLAIN = ("/", "/datasets/new", "/sign-in", "/account", "/people", "/keys", "/providers")
OF_DATASET = (
    "", "/review", "/review?preset=all&search=row&min_confidence=0.1", "/review?preset=resolved", "/review/1",
    "/auto-fix?rule=all", "/export", "/experiments", "/experiments/fine-tunes", "/history",
    "/history/batches", "/history/versions", "/history/rows/1", "/labels", "/labels/1", "/labels/1/merge",
    "/labels/split", "/people", "/scoring", "/views", "/annotators",
)  # fmt: skip
RUN = """(rules) => axe.run(document, { resultTypes: ["violations"], ...rules })
  .then((found) => found.violations
    .filter((one) => ["serious", "critical"].includes(one.impact))
    .map((one) => `${one.id} (${one.impact}): ${one.nodes.map((node) => node.target).join(" | ")}`))"""
ONLY_COLOURS: dict[str, Any] = {"runOnly": ["color-contrast", "link-in-text-block"]}


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.is_file():
        pytest.skip("no axe: `tests/install_contract_tools.sh` installs it where npm can")
    return AXE.read_text(encoding="utf-8")


def test_axe_finds_no_serious_fault(axe: str, page: Page, site: str, database: Database) -> None:
    dataset_id = factories.make_dataset(database)
    factories.add_evidence(
        database,
        dataset_id,
        neighbours={"r1": [("r2", 0.9)]},
        found=[Found("r1", IssueKind.CONFLICT, 0.5, ("r2",))],
    )
    faults = {}
    for path in (*PLAIN, *(f"/datasets/{dataset_id}{one}" for one in OF_DATASET)):
        page.emulate_media(color_scheme="light")
        answer = page.goto(site + path)
        if answer is None or answer.status != 200:
            faults[path] = ["was not shown"]
            continue
        page.evaluate(axe)
        found = page.evaluate(RUN, {})
        page.emulate_media(color_scheme="dark")  # nothing but colours is another then
        found += [f"dark: {one}" for one in page.evaluate(RUN, ONLY_COLOURS)]
        if found:
            faults[path] = found
    assert not faults, "\n".join(f"{path}: {one}" for path, found in faults.items() for one in found)
