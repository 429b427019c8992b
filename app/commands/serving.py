"""Commands that run things: serve, worker, demo, migrate, doctor, recover."""

import signal
import sys
import threading
from typing import Annotated

import typer

from app.commands import samples
from app.commands.doctor import examine, examine_worker
from app.commands.first_admin import make_first_admin
from app.commands.loading import loading
from app.commands.session import Here, load_settings, opened, say, say_json
from app.errors import Unavailable
from app.priority import give_way


def register(cli: typer.Typer) -> None:
    """Add the commands of this file."""
    cli.command("demo", epilog="Example: setright demo --no-serve")(demo)
    cli.command("serve", epilog="Example: setright serve --port 9000")(serve)
    cli.command("worker", epilog="Example: setright worker")(worker)
    cli.command("migrate", epilog="Example: setright migrate")(migrate)
    cli.command("doctor", epilog="Example: setright doctor")(doctor)
    cli.command("recover", epilog="Example: setright recover")(recover)


Host = Annotated[str | None, typer.Option(help="Address to listen on; SETRIGHT_HOST if not said.")]
Port = Annotated[int | None, typer.Option(min=0, max=65535, help="Port; 0 picks a free one.")]


def demo(
    dataset: Annotated[str, typer.Option(help=f"One of {', '.join(samples.NAMES)}.")] = samples.SUPPORT,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="Only make and score the dataset.")] = False,
    host: Host = None,
    port: Port = None,
) -> None:
    """Make the sample dataset, score it, serve it, print the URL."""
    if dataset not in samples.NAMES:
        raise typer.BadParameter(f"{dataset!r} is none of {', '.join(samples.NAMES)}", param_hint="--dataset")
    with opened() as here:
        made = samples.make(here, dataset)
        if no_serve:
            say(f"{made.name} is ready: `setright issues {made.name}`, or `setright serve`.")
            return
        _serve(here, host=host, port=port, path=f"/datasets/{made.id}/review")


def serve(
    host: Host = None,
    port: Port = None,
    sample: Annotated[
        bool, typer.Option("--sample", help="Open the sample; made if there is no dataset.")
    ] = False,
    no_worker: Annotated[bool, typer.Option("--no-worker", help="Serve pages only.")] = False,
) -> None:
    """Serve the pages, with one worker beside them, until stopped."""
    with opened() as here:
        make_first_admin(here)
        found = samples.offered(here) if sample else None
        path = f"/datasets/{found.id}/review" if found else "/"
        _serve(here, host=host, port=port, path=path, with_worker=not no_worker)


def _serve(here: Here, *, host: str | None, port: int | None, path: str, with_worker: bool = True) -> None:
    with loading():
        from app.commands.server import run_server  # loads FastAPI

    chosen = {"host": host or here.settings.host, "port": here.settings.port if port is None else port}
    run_server(here.settings.model_copy(update=chosen), here.database, path=path, with_worker=with_worker)


def worker(
    until_stdin_closes: Annotated[bool, typer.Option("--until-stdin-closes", hidden=True)] = False,
) -> None:
    """Run jobs until stopped; start as many as there are machines or cores to spare."""
    with opened() as here:
        with loading():
            from app import __version__, tracing
            from app.jobs.worker import running

        give_way(here.settings.worker_niceness)
        with (
            tracing.telling(here.settings, here.database.engine, process="worker", version=__version__),
            running(here.settings, here.database) as slot,
        ):
            say(f"Worker {slot.executor_id} is ready.")
            sys.stdout.flush()
            _wait(until_stdin_closes=until_stdin_closes)


def _wait(*, until_stdin_closes: bool) -> None:
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    if until_stdin_closes:
        # The server holds the other end of this pipe: it closes however the server dies.
        threading.Thread(target=_stop_at_end_of_input, args=(stop,), daemon=True).start()
    stop.wait()


def _stop_at_end_of_input(stop: threading.Event) -> None:
    sys.stdin.buffer.read()
    stop.set()


def migrate() -> None:
    """Bring the database to the present schema."""
    with opened() as here:
        make_first_admin(here)
        kind = "SQLite" if here.database.is_sqlite else "Postgres"
    say(f"The {kind} database is up to date.")


def doctor(
    worker: Annotated[
        bool, typer.Option("--worker", help="Only say whether a worker of this machine is alive.")
    ] = False,
    events: Annotated[
        bool, typer.Option("--events", help="Also replay every decision, and compare with the labels.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Look at everything Setright needs and say what is wrong; exit 1 where something is."""
    settings = load_settings()
    findings = [examine_worker(settings)] if worker else examine(settings, with_events=events)
    if as_json:
        say_json([{"check": one.what, "ok": one.is_ok, "says": one.says} for one in findings])
    else:
        for finding in findings:
            say(f"{'ok  ' if finding.is_ok else 'FAIL'}  {finding.what}: {finding.says}")
    if not all(finding.is_ok for finding in findings):
        raise Unavailable("Something needs attention: see the lines that say FAIL.")


def recover(
    only_list: Annotated[
        bool, typer.Option("--list", help="Only name the jobs of workers that are gone.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Take over the jobs of workers that are gone, and run every job to its end."""
    with opened() as here:
        from app.jobs.worker import lost_jobs, recover_all

        found = (
            lost_jobs(here.settings, here.database)
            if only_list
            else recover_all(here.settings, here.database)
        )
    if as_json:
        say_json([{"job": one.job, "worker": one.worker} for one in found])
        return
    for one in found:
        say(f"{one.job} was with {one.worker}.")
    say(f"{len(found)} jobs {'wait for' if only_list else 'were taken over from'} workers that are gone.")
