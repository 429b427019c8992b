"""Commands that change labels in bulk: auto-fix and undo."""

from dataclasses import asdict
from typing import Annotated, Any

import typer

from app.actor import LOCAL
from app.commands.session import MAX_ID, finish_job, opened, say, say_json
from app.models.review import Batch
from app.services import datasets
from app.services.bounding import autofix, batches
from app.services.bounding.autofix import AutofixPreview, Rule, RuleKind
from app.services.ranking.queue_filter import QueueFilter

SHOWN_PAIRS = 15


def register(cli: typer.Typer) -> None:
    """Add the commands of this file."""
    cli.command("autofix", epilog="Example: setright autofix tweets --min-confidence 0.95 --dry-run")(
        autofix_
    )
    cli.command("undo", epilog="Example: setright undo 3")(undo)


def autofix_(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    recommended: Annotated[
        bool, typer.Option("--recommended", help="Rows expected to gain (default).")
    ] = False,
    min_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Suggestions at least this sure.")
    ] = None,
    top: Annotated[int | None, typer.Option(min=1, help="The K worst issues.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every open issue; often makes things worse.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Replace given labels of open issues by suggested ones, within a bound, as one batch."""
    rule = _rule(recommended=recommended, min_confidence=min_confidence, top=top, everything=everything)
    with opened() as here:
        with here.database.read() as session:
            dataset = datasets.get_by_name(session, name)
            plan = autofix.preview(session, dataset, QueueFilter(), rule)
        if dry_run or not plan.rows:
            _say_plan(plan, json_=json_)
            return
        with here.database.write() as session:
            batch = autofix.request(session, dataset.id, QueueFilter(), rule, actor=LOCAL)
        done = finish_job(here, batch)
    if json_:
        say_json(
            {
                "batch": done.id,
                "rule": rule.to_json(),
                "changed": done.rows_changed,
                "skipped": done.rows_skipped,
            }
        )
        return
    _say_plan(plan, json_=False)
    say(f"Batch {done.id}: {done.rows_changed:,} labels replaced. Undo with `setright undo {done.id}`.")


def _rule(*, recommended: bool, min_confidence: float | None, top: int | None, everything: bool) -> Rule:
    chosen = [recommended, min_confidence is not None, top is not None, everything]
    if sum(chosen) > 1:
        raise typer.BadParameter("choose one of --recommended, --min-confidence, --top and --all")
    if min_confidence is not None:
        return Rule(RuleKind.MIN_CONFIDENCE, min_confidence)
    if top is not None:
        return Rule(RuleKind.TOP, top)
    return Rule(RuleKind.ALL if everything else RuleKind.RECOMMENDED)


def _say_plan(plan: AutofixPreview, *, json_: bool) -> None:
    if json_:
        say_json(
            {
                "rule": plan.rule.to_json(),
                "rows": plan.rows,
                "pairs": [
                    {"given": one.given, "suggested": one.suggested, "rows": one.rows} for one in plan.pairs
                ],
                "emptied": plan.emptied,
                "doubled": plan.doubled,
                "expected_precision": plan.expected_precision,
                "advice": plan.advice,
                "protected": asdict(plan.protected),
                "evidence": _evidence(plan),
            }
        )
        return
    say(f"{plan.rows:,} rows fit {plan.rule.kind.value.replace('_', ' ')}.")
    if plan.rule.kind is RuleKind.RECOMMENDED:
        say(plan.advice)
    for pair in plan.pairs[:SHOWN_PAIRS]:
        say(f"  {pair.rows:>6,}  {pair.given or '(none)'} → {pair.suggested}")
    if len(plan.pairs) > SHOWN_PAIRS:
        say(f"  … and {len(plan.pairs) - SHOWN_PAIRS} more pairs")
    for label in plan.emptied:
        say(f"  {label} would lose all of its rows")
    for label in plan.doubled:
        say(f"  {label} would at least double")
    _say_evidence(plan)


def _evidence(plan: AutofixPreview) -> dict[str, Any] | None:
    if plan.evidence is None:
        return None
    found = asdict(plan.evidence.estimate)
    gains = {
        f"expected_{name}": round(found.pop(name) * plan.rows) for name in ("gain", "gain_low", "gain_high")
    }
    return {**found, **gains, "drawn": plan.evidence.drawn}


def _say_evidence(plan: AutofixPreview) -> None:
    kept = plan.protected
    say(
        f"Left alone: {kept.decided:,} decided by people, {kept.excluded:,} excluded, {kept.test:,} in the "
        f"test split, {kept.not_flagged:,} not flagged."
    )
    if plan.evidence is None:
        return
    found = plan.evidence.estimate
    if plan.gain is None:
        say("Estimated precision: unknown, nobody has reviewed rows like these yet.")
        return
    expected, low, high = plan.gain
    say(
        f"Estimated precision: {found.precision:.0%} "
        f"({found.precision_low:.0%} to {found.precision_high:.0%}), "
        f"expected gain {expected:+,} right labels ({low:+,} to {high:+,}); "
        f"rests on {found.reviewed:,} reviewed rows, {plan.evidence.drawn:,} of them drawn at random."
    )


def undo(
    batch_id: Annotated[int, typer.Argument(metavar="BATCH", min=1, max=MAX_ID, help="Number of the batch.")],
) -> None:
    """Take a batch back; rows that people changed since are left as they are."""
    with opened() as here:
        with here.database.write() as session:
            batch: Batch = batches.request_undo(session, batch_id, actor=LOCAL)
        done = finish_job(here, batch)
    left = f" {done.rows_left:,} were changed since and stay." if done.rows_left else ""
    say(f"Batch {done.id} undone: {done.rows_undone:,} labels are as before.{left}")
