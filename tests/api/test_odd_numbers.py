"""Numbers that JSON cannot say, but that programs send and Python reads."""

import pytest
from starlette.testclient import TestClient

from tests.api.asking import problem_of


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity"])
def test_what_is_no_number_is_refused_and_nothing_is_kept(
    client: TestClient, dataset_id: int, number: str
) -> None:
    there = f"/api/v1/datasets/{dataset_id}"
    bodies = {
        "experiments": '{"settings": {"l2": %s}}',
        "batches": '{"rule": {"kind": "min_confidence", "value": %s}}',
        "test-split": '{"share": %s}',
    }
    for path, body in bodies.items():
        headers = {"content-type": "application/json"}
        answer = client.post(f"{there}/{path}", content=body % number, headers=headers)
        problem_of(answer, 422)
    for path in ("experiments", "batches"):
        assert client.get(f"{there}/{path}").json()["items"] == []
