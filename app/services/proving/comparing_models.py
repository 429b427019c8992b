"""Models side by side on the test rows: those of services, and those of the last experiment here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.config import Settings
from app.languages import _
from app.models.columns import RunState
from app.models.model_tests import ModelTest
from app.services.proving import experiments, model_tests
from app.services.proving.material import Taught
from app.services.tuning import providers


@dataclass(frozen=True)
class ModelLine:
    """One model's result; `test` is empty for a model of an experiment on this machine.

    `left`, `middle` and `right` are places on an axis that all lines share, in per cent.
    """

    name: str
    where: str
    accuracy: float
    low: float
    high: float
    macro_f1: float | None
    rows: int
    no_label: int
    price: float | None = None
    test: ModelTest | None = None
    left: float = 0
    middle: float = 0
    right: float = 0


def lines(session: Session, settings: Settings, dataset_id: int) -> list[ModelLine]:
    """Return all tested models of a dataset, best first, with the variants of the last experiment."""
    services = {one.name: one for one in providers.list_services(session, settings)}
    found = [
        _of_test(test, model_tests.price_of(test, services.get(test.provider)))
        for test in model_tests.list_tests(session, dataset_id)
        if test.state is RunState.DONE and test.results
    ]
    done = [one for one in experiments.list_experiments(session, dataset_id) if one.state is RunState.DONE]
    if done:
        found += _of_experiment(done[0].trainer, done[0].results)
    found.sort(key=lambda line: -line.accuracy)
    return _placed(found)


def _of_test(test: ModelTest, price: float | None) -> ModelLine:
    results = test.results
    return ModelLine(
        name=test.model,
        where=test.provider,
        accuracy=results["accuracy"],
        low=results["low"],
        high=results["high"],
        macro_f1=results["macro_f1"],
        rows=results["rows"],
        no_label=results["no_label"],
        price=price,
        test=test,
    )


def _of_experiment(trainer: str, results: Mapping[str, Any]) -> list[ModelLine]:
    variants = results.get("variants", {})
    return [
        ModelLine(
            name=_("%(trainer)s, %(name)s labels", trainer=trainer, name=name.value),
            where=_("this machine"),
            accuracy=variants[name.value]["accuracy"],
            low=variants[name.value]["low"],
            high=variants[name.value]["high"],
            macro_f1=variants[name.value].get("macro_f1"),
            rows=results.get("test_rows", 0),
            no_label=0,
        )
        for name in Taught
        if name.value in variants
    ]


def _placed(found: list[ModelLine]) -> list[ModelLine]:
    if not found:
        return []
    low = min(line.low for line in found)
    span = max(line.high for line in found) - low or 1.0

    def place(value: float) -> float:
        return round(3 + 94 * (value - low) / span, 2)

    return [
        ModelLine(
            **{
                **vars(line),
                "left": place(line.low),
                "middle": place(line.accuracy),
                "right": place(line.high),
            }
        )
        for line in found
    ]
