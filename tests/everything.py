"""One of everything that a dataset can have, and the address of every route to it."""

from collections.abc import Mapping
from typing import Any

from fastapi.routing import iter_route_contexts
from sqlalchemy.orm import Session

from app.actor import LOCAL
from app.config import Settings
from app.db import Database, now
from app.files.rows import Layout
from app.models import (
    Batch,
    ColumnChange,
    Delivery,
    Example,
    Experiment,
    Export,
    FineTune,
    Import,
    Label,
    ModelTest,
    Provider,
    Sample,
    SavedView,
    Version,
    Webhook,
)
from app.models.columns import RunState
from app.models.exports import Variant
from app.models.review import BatchKind
from app.services import datasets
from app.services.operation import vault
from tests import factories
from tests.access_matrix import CSV, DRAFT, Needs


def routes_of(app: Any) -> dict[str, tuple[str, str]]:
    """Return method and path of every route by its name."""
    found: dict[str, tuple[str, str]] = {}
    for context in iter_route_contexts(app.routes):
        methods = sorted((context.methods or set()) - {"HEAD"})
        if methods:
            assert context.name not in found, f"two routes are called {context.name}"
            assert len(methods) == 1, f"{context.name} takes several kinds of request"
            found[str(context.name)] = (methods[0], str(context.path))
    return found


def one_of_everything(database: Database, settings: Settings, name: str) -> dict[str, Any]:
    home = settings.home
    dataset_id = factories.make_dataset(database, name=name)
    file, waiting = home / f"{name}.csv", home / f"{name} waiting.csv"
    for path in (file, waiting):
        path.write_bytes(CSV)
    layout = Layout("csv", encoding="utf-8", delimiter=",", quotechar='"').to_json()
    common: dict[str, Any] = {"dataset_id": dataset_id, "created_by_id": LOCAL.user_id}
    ended: dict[str, Any] = {**common, "state": RunState.DONE, "finished_at": now()}
    with database.write() as session:
        version = Version(**common, name="v", import_seq=1)
        session.add(version)
        session.flush()
        seen = datasets.get(session, dataset_id)
        rows: dict[str, Any] = {
            "import": Import(**ended, dataset_name=name, file_name="x.csv", path=str(file), layout=layout),
            "batch": Batch(**ended, kind=BatchKind.AUTO_FIX),
            "export": Export(
                **ended,
                version_id=version.id,
                format="chat-jsonl",
                variant=Variant.CORRECTED,
                path=str(file),
                rows=20,
            ),
            "experiment": Experiment(**ended, version_id=version.id, trainer="linear"),
            "draft": Import(
                created_by_id=LOCAL.user_id,
                dataset_name="x",
                file_name="x.csv",
                path=str(waiting),
                layout=layout,
                state=RunState.DRAFT,
            ),
            "sample": Sample(**common, run_id=seen.current_run_id, rule={"kind": "all"}),
        }
        session.add_all(rows.values())
        session.flush()
        view = SavedView(dataset_id=dataset_id, user_id=LOCAL.user_id, name="v", is_shared=True)
        session.add(view)
        session.flush()
        labels = session.query(Label.id).filter_by(dataset_id=dataset_id).order_by(Label.name).all()
        example = session.query(Example.id).filter_by(dataset_id=dataset_id).order_by(Example.id).first()
        assert example is not None
        return {
            **{key: row.id for key, row in rows.items()},
            "version": version.id,
            **told(session, dataset_id, settings),
            "view": view.id,
            "picked": f"{example[0]}:1",
            **fine_tuned(session, ended, rows["export"], version, name),
            "run": seen.current_run_id,
            "label": labels[0][0],
            "into": labels[1][0],
            "example": example[0],
            "dataset": dataset_id,
            "name": name,
            "kind": "scoring",
            "waiting": waiting,
        }


def told(session: Session, dataset_id: int, settings: Settings) -> dict[str, Any]:
    webhook = Webhook(
        dataset_id=dataset_id,
        created_by_id=LOCAL.user_id,
        url="http://127.0.0.1:9/v1",
        sealed_secret=vault.seal(settings, "whsec_"),
        first_event_id=0,
        seen_event_id=0,
    )
    session.add(webhook)
    session.flush()
    delivery = Delivery(webhook_id=webhook.id, event_id=1, event_name="dataset.renamed")
    change = ColumnChange(
        dataset_id=dataset_id, created_by_id=LOCAL.user_id, state=RunState.DONE, finished_at=now()
    )
    session.add_all([delivery, change])
    session.flush()
    return {"webhook": webhook.id, "delivery": delivery.id, "change": change.id}


def fine_tuned(
    session: Session, ended: dict[str, Any], export: Export, version: Version, name: str
) -> dict[str, Any]:
    fine_tune = FineTune(
        **ended, export_id=export.id, provider="openai", base_url="x", model="m", key=name,
        curve=[{"step": step, "train_loss": 1.0} for step in (1, 2)],
    )  # fmt: skip
    tested = ModelTest(**ended, version_id=version.id, provider="openai", base_url="x", model="m")
    address = "http://127.0.0.1:9/v1"
    provider = Provider(name=name, base_url=address, sealed_key="", created_by_id=LOCAL.user_id)
    session.add_all([fine_tune, tested, provider])
    session.flush()
    numbers = {"fine_tune": fine_tune.id, "test": tested.id, "provider": provider.id}
    return {**numbers, "what": "cancel", "ending": "svg"}


def filled(value: Any, ids: Mapping[str, Any]) -> Any:
    """Put the numbers of a dataset's rows where `{label}` and the like stand."""
    if isinstance(value, dict):
        return {key: filled(one, ids) for key, one in value.items()}
    if isinstance(value, list):
        return [filled(one, ids) for one in value]
    if not isinstance(value, str) or "{" not in value:
        return value
    if value.startswith("{") and value.endswith("}"):
        return ids[value[1:-1]]
    return value.format(**ids)


def address_of(path: str, needs: Needs, ids: Mapping[str, Any]) -> str:
    """Return the address of a route that is right for one dataset: its path, and what it is asked for."""
    plain = path.replace(":int", "").replace("_id}", "}")
    if needs.where == DRAFT:
        plain = plain.replace("{import}", "{draft}")
    return plain.format(**ids) + (f"?{filled(needs.query, ids)}" if needs.query else "")
