"""Our own client at our own server: a fine-tune on this machine, by the path that serves all providers."""

import pytest
from pydantic import SecretStr

from app.actor import LOCAL
from app.config import Settings
from app.db import Database
from app.models import ModelTest
from app.models.columns import Split
from app.services.proving import model_tests
from app.services.tuning import exports, fine_tunes, providers
from app.services.tuning.exports import ExportChoices
from app.services.tuning.providers import ServiceDetails
from tests.factories import Row, make_dataset
from tests.jobs.working import at_work, done
from tests.openai_api.serving import ROWS


@pytest.mark.slow
def test_from_the_corrected_rows_to_a_tested_model(
    url: str, lead_key: str, open_settings: Settings, database: Database
) -> None:
    train = [Row(text.format(number), label) for number in range(8) for label, text in ROWS]
    test = [Row(text.format(99), label, split=Split.TEST) for label, text in ROWS]
    dataset_id = make_dataset(database, rows=[*train, *test])
    settings = open_settings.model_copy(update={"fine_tune_poll_seconds": 0.05})
    with database.write() as session:
        details = ServiceDetails("here", url, SecretStr(lead_key), input_price=2.0, output_price=8.0)
        service = providers.add(session, settings, details, actor=LOCAL)
        choices = ExportChoices(validation_percent=25, template="Request: {text}")
        export = exports.request(session, dataset_id, choices, actor=LOCAL)
        asked = fine_tunes.request(session, export.id, service, model="linear", suffix="own", actor=LOCAL)
    with at_work(settings, database):
        tuned = done(database, asked)
    assert (tuned.fine_tuned_model or "").startswith("ft:linear:setright:own:")
    assert tuned.trained_tokens
    assert {"step", "train_loss", "valid_loss"} <= set(tuned.curve[0])
    assert "The job has successfully completed" in [line["message"] for line in tuned.log]
    with database.read() as session:
        (tested,) = model_tests.list_tests(session, dataset_id, fine_tune_id=tuned.id)
    assert isinstance(tested, ModelTest)
    assert (tested.results["accuracy"], tested.results["rows"], tested.results["no_label"]) == (1.0, 4, 0)
    spent = tested.input_tokens * 2.0 + tested.output_tokens * 8.0
    assert model_tests.price_of(tested, service) == spent / 1e6 > 0
