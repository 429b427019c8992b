"""What each route needs, and a valid request for it: a new route belongs in here before its tests pass."""

from dataclasses import dataclass, field
from typing import Any

from app.actor import Role

ANYBODY, SIGNED_IN = "anybody", "signed in"
HERE, WORKSPACE, SOMEWHERE = "here", "workspace", "somewhere"
DRAFT, OTHERS = "draft", "others"
SERVICE = "http://127.0.0.1:9/v1"
CSV = b"text,label\nIt flickers,fault\nWhen will it come?,order\n"


@dataclass(frozen=True)
class Needs:
    """The least role, where it counts, and what a request that is otherwise right carries."""

    role: Role | str
    where: str = HERE
    """In the dataset that the address speaks of, outside of datasets, or in any of both; `draft` is what
    somebody else has brought and not confirmed, which guests do not see; `others` is not there for others."""
    form: dict[str, Any] = field(default_factory=dict)
    json: Any = None
    file: str = ""
    """Name of the form's field for a file."""
    query: str = ""
    path: dict[str, str] = field(default_factory=dict)
    """Parts of the address that are no numbers of rows."""
    also: frozenset[int] = frozenset()
    """What an allowed request may be answered with besides success, a conflict or a redirection."""


LOOK = Needs(Role.VIEWER)
LEAD = Needs(Role.LEAD)
ADMIN = Needs(Role.ADMIN)


def looks(query: str = "") -> Needs:
    """Return what a page needs that anybody may look at who sees its dataset."""
    return Needs(Role.VIEWER, query=query)


PAGES = {
    "account.sign_in_form": Needs(ANYBODY),
    "account.sign_in": Needs(
        ANYBODY, form={"name": "somebody", "password": "not this one"}, also=frozenset({401})
    ),
    "account.sign_out": Needs(ANYBODY),
    "account.open": Needs(ANYBODY, also=frozenset({401})),
    "account.single_sign_on": Needs(ANYBODY, also=frozenset({404})),
    "account.signed_on": Needs(ANYBODY, also=frozenset({303})),
    "monitoring.health": Needs(ANYBODY),
    "monitoring.ready": Needs(ANYBODY),
    "monitoring.metrics": Needs(ANYBODY, also=frozenset({404})),
    "annotators.index": LOOK,
    "account.show": Needs(SIGNED_IN),
    "account.set_password": Needs(
        SIGNED_IN,
        form={"current": "x", "password": "another password", "again": "another password"},
        also=frozenset({403}),
    ),
    "account.end_session": Needs(SIGNED_IN, also=frozenset({404})),
    "account.end_others": Needs(SIGNED_IN),
    "account.create_token": Needs(SIGNED_IN, form={"name": "x"}),
    "account.revoke_token": Needs(Role.ADMIN, OTHERS),
    "people.index": Needs(Role.ADMIN, WORKSPACE),
    "people.create": Needs(Role.ADMIN, WORKSPACE, form={"name": "new", "role": "viewer"}),
    "people.show": Needs(Role.ADMIN, WORKSPACE),
    "people.set_role": Needs(Role.ADMIN, WORKSPACE, form={"role": "lead"}),
    "people.set_state": Needs(Role.ADMIN, WORKSPACE, form={"active": "false"}),
    "people.make_link": Needs(Role.ADMIN, WORKSPACE),
    "people.end_sessions": Needs(Role.ADMIN, WORKSPACE),
    "people.set_dataset_role": Needs(Role.ADMIN, form={"role": "lead", "dataset": "{dataset}"}),
    "dataset_people.index": LEAD,
    "dataset_people.set_role": Needs(Role.ADMIN, form={"role": "lead", "user": "{user}"}),
    "datasets.index": Needs(SIGNED_IN),
    "datasets.rename": Needs(Role.LEAD, form={"name": "Renamed"}),
    "datasets.delete": Needs(Role.ADMIN, form={"name": "{name}"}),
    "imports.new": Needs(Role.LEAD, WORKSPACE),
    "imports.upload": Needs(Role.LEAD, SOMEWHERE, file="file"),
    "imports.show": LOOK,
    "imports.confirm": Needs(
        Role.LEAD,
        DRAFT,
        form={"column": ["text", "label"], "role": ["text", "label"], "dataset_name": "New"},
    ),
    "imports.repeat": LEAD,
    "imports.discard": Needs(Role.LEAD, DRAFT),
    "imports.rejected": LOOK,
    "overview.show": LOOK,
    "review.queue": LOOK,
    "review.show": LOOK,
    "review.undo": Needs(Role.ANNOTATOR, also=frozenset({404})),
    "review.decide": Needs(Role.ANNOTATOR, form={"verdict": "keep", "version": "1"}),
    "handing_out.open": Needs(Role.ANNOTATOR),
    "handing_out.next": Needs(Role.ANNOTATOR),
    "handing_out.take": Needs(Role.ANNOTATOR),
    "handing_out.beat": Needs(Role.ANNOTATOR),
    "handing_out.leave": Needs(Role.ANNOTATOR),
    "handing_out.end": Needs(Role.ANNOTATOR, also=frozenset({404})),
    "together.show": LOOK,
    "together.assign": Needs(Role.LEAD, form={"person": "{user}", "share": "1"}, also=frozenset({422})),
    "together.take_back": LEAD,
    "together.plan": Needs(Role.LEAD, form={"percent": "10"}),
    "together.agreement": LOOK,
    "second_opinions.index": LOOK,
    "second_opinions.open": Needs(Role.ANNOTATOR),
    "second_opinions.give": Needs(Role.ANNOTATOR, form={"verdict": "keep"}, also=frozenset({404})),
    "disagreements.index": LOOK,
    "disagreements.open": Needs(Role.ANNOTATOR),
    "disagreements.settle": Needs(
        Role.ANNOTATOR, form={"verdict": "keep", "version": "1"}, also=frozenset({404})
    ),
    "live.stream": Needs(Role.VIEWER, also=frozenset({503})),  # it would never end: the test has no room
    "live.now": LOOK,
    "autofix.show": looks("rule=all"),
    "autofix.apply": Needs(Role.LEAD, form={"rule": "all"}),
    "autofix.sample": Needs(Role.ANNOTATOR, form={"rule": "all"}),
    "autofix.sampled": LOOK,
    "batches.index": LOOK,
    "batches.show": LOOK,
    "batches.left": LOOK,
    "batches.undo": LEAD,
    "imports.adopt": LEAD,
    "overview.chart": Needs(Role.VIEWER, path={"chart_name": "histogram"}, also=frozenset({404})),
    "overview.sample": Needs(Role.ANNOTATOR, form={"size": "20"}, also=frozenset({422})),
    "review.next": LOOK,
    "review.decide_selection": Needs(Role.ANNOTATOR, form={"picked": "{picked}", "verdict": "keep"}),
    "exports.stream": Needs(Role.ANNOTATOR, query="format=csv"),
    "exports.validation": Needs(Role.VIEWER, also=frozenset({404})),
    "exports.faults": Needs(Role.VIEWER, also=frozenset({404})),
    "experiments.draw": Needs(Role.LEAD, form={"percent": "20"}, also=frozenset({422})),
    "experiments.show": LOOK,
    "experiments.repeat": LEAD,
    "experiments.report": Needs(Role.VIEWER, path={"ending": "md"}, also=frozenset({404})),
    "experiments.chart": Needs(Role.VIEWER, path={"chart": "accuracy"}, also=frozenset({404})),
    "hints.close": Needs(SIGNED_IN, form={"hint": "overview"}),
    "keys.show": Needs(SIGNED_IN),
    "keys.choose": Needs(SIGNED_IN, form={"keymap": "azerty"}),
    "keys.change": Needs(SIGNED_IN, form={"action": "keep", "key": "q"}, also=frozenset({422})),
    "views.index": LOOK,
    "views.save": Needs(Role.VIEWER, form={"name": "x"}),
    "views.columns": LOOK,
    "views.change": Needs(Role.VIEWER, form={"name": "y"}, also=frozenset({403})),  # one's own alone
    "views.delete": ADMIN,
    "exports.index": LOOK,
    "exports.request": Needs(Role.ANNOTATOR, form={"format": "csv"}),
    "exports.show": LOOK,
    "exports.file": LOOK,
    "exports.manifest": LOOK,
    "fine_tunes.request": Needs(Role.LEAD, form={"model": "some-model"}),
    "fine_tunes.show": LOOK,
    "fine_tunes.index": LOOK,
    "fine_tunes.live": LOOK,
    "fine_tunes.loss": LOOK,
    "fine_tunes.change": LEAD,
    "model_tests.request": Needs(Role.LEAD, form={"model": "some-model"}),
    "model_tests.show": LOOK,
    "model_tests.live": LOOK,
    "model_tests.change": LEAD,
    "providers.index": Needs(SIGNED_IN),
    "providers.edit": Needs(SIGNED_IN),
    "providers.models": Needs(Role.LEAD, SOMEWHERE, query="provider=nothing", also=frozenset({422})),
    "providers.add": Needs(Role.ADMIN, WORKSPACE, form={"name": "new", "base_url": SERVICE}),
    "providers.change": Needs(Role.ADMIN, WORKSPACE, form={"name": "{name}", "base_url": SERVICE}),
    "providers.remove": Needs(Role.ADMIN, WORKSPACE),
    "experiments.index": LOOK,
    "experiments.request": Needs(Role.LEAD, form={"seeds": "0"}),
    "history.index": LOOK,
    "history.row": LOOK,
    "versions.index": LOOK,
    "versions.create": Needs(Role.ANNOTATOR, form={"name": "mine"}),
    "versions.compare": looks("old={version}"),
    "versions.changes": looks("old={version}"),
    "versions.restore": LOOK,
    "versions.restore_apply": LEAD,
    "labels.index": LOOK,
    "labels.add": Needs(Role.LEAD, form={"name": "new"}),
    "labels.split": looks("label={label}"),
    "labels.split_apply": Needs(Role.LEAD, form={"label": "{label}", "into": "{into}"}),
    "labels.edit": LOOK,
    "labels.change": Needs(Role.LEAD, form={"name": "new", "was": "fault"}),
    "labels.delete": LEAD,
    "labels.merge": looks("into={into}"),
    "labels.merge_apply": Needs(Role.LEAD, form={"into": "{into}"}),
    "scoring.form": LOOK,
    "scoring.request": Needs(Role.LEAD, file="pred_probs"),
    "runs.progress": LOOK,
    "runs.cancel": LEAD,
}
API = {
    "openapi": Needs(ANYBODY),
    "api.docs": Needs(ANYBODY),
    "api.me.show": Needs(SIGNED_IN),
    "api.datasets.list": Needs(SIGNED_IN),
    "api.datasets.get": LOOK,
    "api.datasets.rename": Needs(Role.LEAD, json={"name": "Renamed"}),
    "api.datasets.delete": ADMIN,
    "api.labels.list": LOOK,
    "api.labels.create": Needs(Role.LEAD, json={"name": "new"}),
    "api.labels.get": LOOK,
    "api.labels.change": Needs(Role.LEAD, json={"name": "new"}),
    "api.labels.delete": LEAD,
    "api.labels.preview_merge": looks("into_id={into}"),
    "api.labels.merge": Needs(Role.LEAD, json={"into_id": "{into}"}),
    "api.labels.preview_split": looks("label_id={label}"),
    "api.labels.split": Needs(Role.LEAD, json={"label_id": "{label}", "into_id": "{into}"}),
    "api.imports.create": Needs(Role.LEAD, SOMEWHERE, file="file"),
    "api.imports.get": LOOK,
    "api.imports.list": LOOK,
    "api.imports.preview": LOOK,
    "api.imports.confirm": Needs(Role.LEAD, DRAFT, json={"dataset": "New", "text": "text", "label": "label"}),
    "api.imports.discard": Needs(Role.LEAD, DRAFT),
    "api.imports.cancel": LEAD,
    "api.imports.rejected": LOOK,
    "api.scoring_runs.create": Needs(Role.LEAD, json={}),
    "api.scoring_runs.create_from_files": Needs(Role.LEAD, file="pred_probs"),
    "api.scoring_runs.estimate": LOOK,
    "api.scoring_runs.latest": LOOK,
    "api.scoring_runs.get": LOOK,
    "api.scoring_runs.cancel": LEAD,
    "api.annotators.show": Needs(Role.VIEWER, also=frozenset({404})),
    "api.issues.list": LOOK,
    "api.examples.list": LOOK,
    "api.examples.get": LOOK,
    "api.examples.decisions": LOOK,
    "api.decisions.create": Needs(
        Role.ANNOTATOR, json={"example_id": "{example}", "verdict": "keep", "version": 1}
    ),
    "api.decisions.undo": Needs(Role.ANNOTATOR, also=frozenset({404})),
    "api.together.leases": LOOK,
    "api.together.take": Needs(Role.ANNOTATOR, json={}),
    "api.together.renew": Needs(Role.ANNOTATOR, json={"example_ids": ["{example}"]}),
    "api.together.end": Needs(Role.ANNOTATOR, also=frozenset({404})),
    "api.together.presence": LOOK,
    "api.together.assigned": LOOK,
    "api.together.assign": Needs(Role.LEAD, json={"shares": [{"user_id": "{user}"}]}, also=frozenset({422})),
    "api.together.take_back": LEAD,
    "api.together.agreement": LOOK,
    "api.second_opinions.show": LOOK,
    "api.second_opinions.plan": Needs(Role.LEAD, json={"share": 0.1}),
    "api.second_opinions.take": Needs(Role.ANNOTATOR),
    "api.second_opinions.give": Needs(Role.ANNOTATOR, json={"verdict": "keep"}, also=frozenset({404})),
    "api.second_opinions.take_disagreement": Needs(Role.ANNOTATOR),
    "api.second_opinions.settle": Needs(
        Role.ANNOTATOR, json={"verdict": "keep", "version": 1}, also=frozenset({404})
    ),
    "api.batches.preview": LOOK,
    "api.batches.sample": Needs(Role.ANNOTATOR, json={}),
    "api.batches.create": Needs(Role.LEAD, json={}),
    "api.batches.list": LOOK,
    "api.batches.get": LOOK,
    "api.batches.left": LOOK,
    "api.batches.cancel": LEAD,
    "api.batches.undo": LEAD,
    "api.versions.list": LOOK,
    "api.versions.create": Needs(Role.ANNOTATOR, json={}),
    "api.versions.get": LOOK,
    "api.versions.compare": looks("old_id={version}"),
    "api.versions.changes": looks("old_id={version}"),
    "api.versions.preview_restore": LOOK,
    "api.versions.restore": LEAD,
    "api.exports.create": Needs(Role.ANNOTATOR, json={"format": "csv"}),
    "api.exports.list": LOOK,
    "api.exports.get": LOOK,
    "api.exports.file": LOOK,
    "api.exports.manifest": LOOK,
    "api.exports.cancel": LEAD,
    "api.fine_tunes.create": Needs(Role.LEAD, json={"model": "some-model"}),
    "api.fine_tunes.list": LOOK,
    "api.fine_tunes.get": LOOK,
    "api.fine_tunes.cancel": LEAD,
    "api.fine_tunes.pause": LEAD,
    "api.fine_tunes.resume": LEAD,
    "api.fine_tunes.again": LEAD,
    "api.model_tests.create": Needs(Role.LEAD, json={"model": "some-model"}),
    "api.model_tests.list": LOOK,
    "api.model_tests.get": LOOK,
    "api.model_tests.cancel": LEAD,
    "api.model_tests.again": LEAD,
    "api.providers.list": Needs(SIGNED_IN),
    "api.providers.models": Needs(Role.LEAD, SOMEWHERE, also=frozenset({503})),
    "api.providers.create": Needs(Role.ADMIN, WORKSPACE, json={"name": "new", "base_url": SERVICE}),
    "api.providers.change": Needs(Role.ADMIN, WORKSPACE, json={"name": "{name}", "base_url": SERVICE}),
    "api.providers.delete": Needs(Role.ADMIN, WORKSPACE),
    "api.experiments.create": Needs(Role.LEAD, json={}),
    "api.experiments.list": LOOK,
    "api.experiments.get": LOOK,
    "api.experiments.cancel": LEAD,
    "api.experiments.report": Needs(Role.VIEWER, also=frozenset({404})),
    "api.experiments.repeat": LEAD,
    "api.experiments.test_split": LOOK,
    "api.experiments.draw_test_split": Needs(Role.LEAD, json={}, also=frozenset({422})),
    "api.exports.check": LOOK,
    "api.exports.stream": Needs(Role.ANNOTATOR, query="format=csv"),
    "api.exports.validation": Needs(Role.VIEWER, also=frozenset({404})),
    "api.overview.get": LOOK,
    "api.overview.sample": Needs(Role.ANNOTATOR, json={}, also=frozenset({422})),
    "api.events.list": LOOK,
}
ROUTES = {**PAGES, **API}
