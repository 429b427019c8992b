"""Commands that take data out: export a file, start a fine-tune from it."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from app.actor import LOCAL
from app.commands.providing import say_test
from app.commands.session import Here, finish_job, opened, say, say_json
from app.errors import InvalidInput, Unavailable
from app.files.drawing import MOST_PERCENT
from app.files.writing import EXPORT_FORMATS
from app.models.exports import Export, Variant
from app.services import datasets
from app.services.proving import model_tests
from app.services.tuning import checks, exports, fine_tunes, providers
from app.services.tuning.exports import CHAT_FORMATS, MAX_SEED, SPLITS, ExportChoices
from app.services.tuning.providers import Service
from app.services.versioning import versions

SHOWN_FAULTS = 10
SYSTEM_HELP = "System turn of every chat row; {labels} in it becomes the list of labels."
TEMPLATE_HELP = "What is asked of the model; {text} is the text, {COLUMN} a metadata column's value."
NUMBERS_HELP = "Numbers instead of label names, for fine-tuning."
CODE_HELP = "LABEL=CODE: a word that stands for a label, for fine-tuning; can be repeated."
VALIDATION_HELP = "Per cent of each class for a second file, for validation."


def register(cli: typer.Typer) -> None:
    """Add the commands of this file."""
    cli.command("export", epilog="Example: setright export tweets --format chat-jsonl --variant corrected")(
        export
    )
    cli.command("finetune", epilog="Example: setright finetune tweets --provider openai --model M --dry-run")(
        finetune
    )


def export(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    format_: Annotated[str, typer.Option("--format", help=f"One of {', '.join(EXPORT_FORMATS)}.")],
    variant: Annotated[Variant, typer.Option(help="Which labels and rows.")] = Variant.CORRECTED,
    split: Annotated[str, typer.Option(help=f"One of {', '.join(SPLITS)}.")] = "train",
    version: Annotated[str | None, typer.Option(help="A version; the present state if not said.")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to write; beside you if not said.")] = None,
    guard_formulas: Annotated[
        bool, typer.Option("--guard-formulas", help="Make CSV safe for spreadsheets.")
    ] = False,
    system_prompt: Annotated[str | None, typer.Option(help=SYSTEM_HELP)] = None,
    template: Annotated[str, typer.Option(help=TEMPLATE_HELP)] = ExportChoices.template,
    number_labels: Annotated[bool, typer.Option("--number-labels", help=NUMBERS_HELP)] = False,
    code: Annotated[list[str] | None, typer.Option(help=CODE_HELP)] = None,
    validation: Annotated[int, typer.Option(min=0, max=MOST_PERCENT, help=VALIDATION_HELP)] = 0,
    seed: Annotated[int, typer.Option(min=0, max=MAX_SEED - 1, help="Draws the validation rows.")] = 0,
    json_: Annotated[bool, typer.Option("--json", help="Print the manifest.")] = False,
) -> None:
    """Write a file of a dataset and its manifest; files for fine-tuning are checked."""
    if format_ not in EXPORT_FORMATS:
        raise typer.BadParameter(f"{format_!r} is none of {', '.join(EXPORT_FORMATS)}", param_hint="--format")
    if split not in SPLITS:
        raise typer.BadParameter(f"{split!r} is none of {', '.join(SPLITS)}", param_hint="--split")
    with opened() as here:
        choices = ExportChoices(
            format=format_,
            variant=variant,
            split=split,
            guard_formulas=guard_formulas,
            system_prompt=system_prompt,
            template=template,
            number_labels=number_labels,
            label_codes=_codes(code or []),
            validation_percent=validation,
            seed=seed,
        )
        done = _exported(here, name, choices, version)
    target = out or Path.cwd() / Path(done.path).name
    _place(Path(done.path), target)
    _place(Path(f"{done.path}.manifest.json"), Path(f"{target}.manifest.json"))
    if (drawn := checks.validation_path(done)) is not None:
        _place(drawn, target.with_suffix(".validation.jsonl"))
    if checks.of_export(done):
        _place(checks.faults_path(done), Path(f"{target}.faults.csv"))
    if json_:
        say_json({**done.manifest, "file": str(target)})
    else:
        say(f"{done.rows:,} rows, {done.bytes:,} bytes, sha256 {done.sha256}")
        _say_check(done)
        say(f"Written to {target}, manifest beside it.")


def _codes(said: list[str]) -> dict[str, str]:
    codes: dict[str, str] = {}
    for one in said:
        label, sign, code = one.rpartition("=")
        if not sign or not label:
            raise typer.BadParameter(f"{one!r} is not LABEL=CODE", param_hint="--code")
        codes[label] = code
    return codes


def _say_check(done: Export) -> None:
    """Say what a fine-tuning service would refuse or charge for."""
    found = checks.of_export(done)
    if found is None:
        return
    least = "at most " if found["is_bound"] else "about " if found["is_estimate"] else ""
    say(f"{least}{found['tokens']:,} tokens ({found['tokenizer']})".capitalize() + ".")
    if found["blocking"]:
        faults = "one fault" if found["blocking"] == 1 else f"{found['blocking']:,} faults"
        say(f"A fine-tuning service would refuse it for {faults}.")
    if found["warnings"]:
        say(f"Warnings: {found['warnings']:,}.")
    for fault in checks.list_faults(done, limit=SHOWN_FAULTS):
        row = f"row {fault['row']}: " if fault["row"] else ""
        say(f"  {fault['weight']}: {row}{fault['what']} {fault['what_to_do']}")
    if found["faults"] > SHOWN_FAULTS:
        say("  … all of them are in the list of faults beside the file.")


def _exported(here: Here, name: str, choices: ExportChoices, version: str | None) -> Export:
    with here.database.write() as session:
        dataset = datasets.get_by_name(session, name)
        if version is not None:
            frozen = versions.get_by_name(session, dataset.id, version)
            choices = replace(choices, version_id=frozen.id)
        asked = exports.request(session, dataset.id, choices, actor=LOCAL)
    return finish_job(here, asked)


def _place(source: Path, target: Path) -> None:
    """Copy under another name first, so that a full disk leaves no half file under the right one."""
    draft = target.with_name(f".{target.name}.part")
    try:
        shutil.copyfile(source, draft)
        draft.replace(target)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise InvalidInput(f"{target} cannot be written: {error.strerror}.") from None


def finetune(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    provider: Annotated[str, typer.Option(help="`openai`, or another provider that was added.")],
    model: Annotated[str, typer.Option(help="Model to fine-tune, as the provider names it.")],
    format_: Annotated[str, typer.Option("--format", help="chat-jsonl or completion-jsonl.")] = "chat-jsonl",
    variant: Annotated[Variant, typer.Option(help="Which labels and rows.")] = Variant.CORRECTED,
    version: Annotated[str | None, typer.Option(help="A version; the present state if not said.")] = None,
    suffix: Annotated[str, typer.Option(help="Added to the model's name; at most 64 characters.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the file, show the check and the calls, send nothing.")
    ] = False,
    ignore_faults: Annotated[
        bool, typer.Option("--ignore-faults", help="Send a file that the check says would be refused.")
    ] = False,
    no_test: Annotated[
        bool, typer.Option("--no-test", help="Do not ask the trained model for the test rows.")
    ] = False,
) -> None:
    """Export and check the train rows, fine-tune on that very file, ask the model for every test row."""
    if not providers.is_name(provider):
        raise typer.BadParameter(f"{provider!r} cannot be a provider's name", param_hint="--provider")
    if format_ not in CHAT_FORMATS:
        raise typer.BadParameter(f"{format_!r} is none of {', '.join(CHAT_FORMATS)}", param_hint="--format")
    with opened() as here:
        with here.database.read() as session:
            service = providers.get(session, here.settings, provider)
        if not service.key_from and not dry_run:
            raise Unavailable(providers.no_key(service.name))
        done = _exported(here, name, ExportChoices(format=format_, variant=variant), version)
        if dry_run:
            _say_check(done)
            _say_calls(service, done, model, suffix)
            return
        with here.database.write() as session:
            asked = fine_tunes.request(
                session,
                done.id,
                service,
                model=model,
                suffix=suffix,
                has_test=not no_test,
                ignore_faults=ignore_faults,
                actor=LOCAL,
            )
        say(f"Fine-tune {asked.id} from export {done.id} ({done.rows:,} rows, sha256 {done.sha256}).")
        ended = finish_job(here, asked)
        say(f"Done: {ended.fine_tuned_model} (job {ended.remote_job_id}).")
        with here.database.read() as session:
            tests = model_tests.list_tests(session, ended.dataset_id, fine_tune_id=ended.id)
        if tests:
            say_test(finish_job(here, tests[0]))


def _say_calls(service: Service, done: Export, model: str, suffix: str) -> None:
    from app.providers.openai_fine_tuning import planned_calls

    say(f"Nothing was sent. The file is {done.path} ({done.rows:,} rows). These calls would be made:")
    for call in planned_calls(Path(done.path), model, suffix=suffix or None, metadata={"setright_key": "…"}):
        say(f"{call.method} {service.base_url.rstrip('/')}{call.path}")
        say_json(call.body)
