"""What is acknowledged stays: web, worker and Postgres are killed at random moments while people work.

Annotators decide through whichever web process answers, and send a verdict again, under the same key, until
one has taken it, as the page does. Files are imported and scored meanwhile. Between the kills the clock jumps
by an hour, the disk is full, Postgres has no connection left, and workers sleep and wake. After each of
these, every few kills, and in the end, the log is replayed and each number that is kept is counted again.
"""

import argparse
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import sqlalchemy as sa

from app.actor import Role
from app.errors import AppError
from app.models import Dataset, Decision, Example, Import, ScoringRun
from app.models.columns import RunState
from app.services.versioning.replay import replay
from bench import postgres, report
from bench.faults_kinds import KINDS, STALE_SECONDS, Controls, Scene
from bench.load import DATASET, KEY, ROW, VERDICTS, VERSION, Client
from bench.load_stage import Stage, prepared, processes
from tests.services.checking import assert_counters

ROWS, ANNOTATORS, WEBS, WORKERS = 60_000, 8, 2, 2
KILLS, QUICK_KILLS = 200, 6
CHECK_EVERY = 20
FAULT_EVERY = 6
"""Kills between two faults that are none."""
FILE_ROWS = 1_000
BROKEN = 500
SETTLE_SECONDS = 300
HASTY = {"SETRIGHT_WORKER_BEAT_SECONDS": "0.5", "SETRIGHT_WORKER_STALE_SECONDS": str(STALE_SECONDS)}
OPEN = (RunState.QUEUED, RunState.RUNNING)


@dataclass
class Told:
    """What the annotators were told."""

    acknowledged: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    """Answers that say that something went wrong which nobody expected."""
    over: threading.Event = field(default_factory=threading.Event)


def main() -> None:
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", nargs="*", choices=sorted(KINDS), default=sorted(KINDS))
    given, rest = parser.parse_known_args()
    chosen = report.options("faults", rest)
    kills = given.kills or (QUICK_KILLS if chosen.quick else KILLS)
    figures: Counter[str] = Counter()
    with postgres.running() as server, tempfile.TemporaryDirectory() as folder:
        people = {Role.ANNOTATOR: ANNOTATORS, Role.LEAD: 1}
        controls = Controls(Path(folder))
        controls.check()
        stage = prepared(Path(folder) / "home", server.url, rows=ROWS, people=people)
        stage.environment.update(controls.environment | HASTY)
        told, began = Told(), time.monotonic()
        with processes(stage, webs=WEBS, workers=WORKERS) as running:
            scene = Scene(stage, running, server, controls, random.Random(given.seed))
            at_work(scene, told, kills, given.faults, figures)
            figures["stuck_runs"] = settle(stage)
        figures["seconds"] = round(time.monotonic() - began)
        judge(stage, told, figures)
        stage.here.database.close()
    report.write("faults", chosen, {"kills": kills, "acknowledged": len(told.acknowledged), **figures})


def at_work(scene: Scene, told: Told, kills: int, kinds: list[str], figures: Counter[str]) -> None:
    """Let people and jobs go on while one fault follows the other."""
    ports = [one.port for one in scene.running if one.port]
    threads = [
        threading.Thread(target=annotate, args=(ports, cookie, told, number))
        for number, cookie in enumerate(scene.stage.cookies[Role.ANNOTATOR])
    ]
    threads.append(threading.Thread(target=bring_files, args=(scene.stage, told)))
    for thread in threads:
        thread.start()
    waiting, every = cycle(kinds), max(1, min(FAULT_EVERY, kills // max(1, len(kinds))))
    try:
        for number in range(1, kills + 1):
            time.sleep(scene.rng.uniform(0.5, 4))
            kill_one(scene, figures)
            if kinds and number % every == 0:
                suffer(scene, next(waiting), figures)
                invariants(scene.stage)
            if number % CHECK_EVERY == 0:
                print(f"{number} kills, {len(told.acknowledged):,} verdicts acknowledged", flush=True)
                invariants(scene.stage)
    finally:
        told.over.set()
        for thread in threads:
            thread.join()


def kill_one(scene: Scene, figures: Counter[str]) -> None:
    """Kill one of the processes as a power cut would."""
    victim = scene.rng.choice(["web", "worker", "postgres"])
    if victim == "postgres":
        scene.server.kill()
    else:
        scene.rng.choice([one for one in scene.running if one.kind == victim]).kill()
    figures[f"kills_{victim}"] += 1


def suffer(scene: Scene, kind: str, figures: Counter[str]) -> None:
    """Let a fault happen that is no kill."""
    KINDS[kind](scene)
    figures[f"faults_{kind}"] += 1


def annotate(ports: list[int], cookie: str, told: Told, number: int) -> None:
    """Decide about row after row; send each verdict until it is taken or refused."""
    rng = random.Random(number)
    page = ""
    while not told.over.is_set():
        row, version, key = ROW.search(page), VERSION.search(page), KEY.search(page)
        if row is None or version is None or key is None:
            status, page = send(ports, cookie, f"/datasets/{DATASET}/review/open", {}, rng)
            time.sleep(0.2 if status == 200 else 1)
            continue
        time.sleep(rng.random())  # rows must last to the last fault
        form = {"version": version[1], "verdict": rng.choice(VERDICTS), "idempotency_key": key[1]}
        there = f"/datasets/{DATASET}/review/{row['row']}"
        status, page = send(ports, cookie, there, form, rng)
        while status == 0 or status >= BROKEN:
            if status == BROKEN:
                told.broken.append(page)
            if told.over.wait(0.5):
                return
            status, page = send(ports, cookie, there, form, rng)
        if status == 200:
            told.acknowledged.append(key[1])
        else:
            told.refused[str(status)] += 1
            page = ""
        time.sleep(rng.uniform(0.1, 0.5))


def send(
    ports: list[int], cookie: str, path: str, form: dict[str, str], rng: random.Random
) -> tuple[int, str]:
    """Ask one of the web processes, over a connection of its own."""
    status, page, _ = Client(rng.choice(ports), cookie).ask(path, form, into="resolver")
    return status, page


def bring_files(stage: Stage, told: Told) -> None:
    """Import and score one file after the other by command; a command may be lost, its job must not."""
    number = 0
    while not told.over.is_set():
        number += 1
        file = stage.home / f"file-{number}.csv"
        lines = [f"n{n},request {n} about {n % 97},class {n % 3}\n" for n in range(FILE_ROWS)]
        file.write_text("id,text,label\n" + "".join(lines), encoding="utf-8")
        name = f"file {number}"
        for command in (["import", str(file), "--dataset", name], ["score", name, "--embedder", "tfidf"]):
            with (stage.home / "commands.log").open("a") as said:
                process = subprocess.Popen(
                    [sys.executable, "-m", "app.cli", *command],
                    cwd=report.ROOT, env=stage.environment, stdout=said, stderr=said,
                )  # fmt: skip
                while process.poll() is None and not told.over.wait(0.2):
                    pass
                if process.poll() is None:
                    process.kill()
                    process.wait()


def settle(stage: Stage) -> int:
    """Wait for all jobs to end; return how many never do."""
    ends = time.monotonic() + SETTLE_SECONDS
    while True:
        with stage.here.database.read() as session:
            imports = session.scalars(sa.select(Import).where(Import.state.in_(OPEN))).all()
            still: list[Import | ScoringRun] = [
                *imports,
                *session.scalars(sa.select(ScoringRun).where(ScoringRun.state.in_(OPEN))),
            ]
        if not still or time.monotonic() > ends:
            for run in still:
                print(f"stuck: {type(run).__name__} {run.id} is {run.state}", flush=True)
            return len(still)
        time.sleep(1)


def judge(stage: Stage, told: Told, figures: Counter[str]) -> None:
    """Compare what was acknowledged with what is stored, and every import with its file."""
    with stage.here.database.read() as session:
        made = session.execute(sa.select(Decision.idempotency_key, Decision.example_id)).all()
        stored, rows = {key for key, _ in made}, Counter(example_id for _, example_id in made)
        figures["lost"] = sum(key not in stored for key in told.acknowledged)
        figures["doubled"] = sum(times > 1 for times in rows.values())
        figures["half_imports"] = 0
        for one in session.scalars(sa.select(Import).where(Import.dataset_id.is_not(None))):
            count = (
                sa.select(sa.func.count())
                .select_from(Example)
                .join(Dataset, Dataset.id == Example.dataset_id)
            )
            seen = count.where(Dataset.id == one.dataset_id, Example.import_seq <= Dataset.import_seq)
            wanted = one.rows_new if one.state is RunState.DONE else 0
            figures["half_imports"] += session.scalar(seen) != wanted
    figures["broken_answers"] = len(told.broken)
    for page in told.broken[:3]:
        print(f"an answer that should not be: {page[:500]}", flush=True)
    invariants(stage)
    print(f"answers that were no: {dict(told.refused)}", flush=True)


def invariants(stage: Stage) -> None:
    """Replay the log and count again what is kept; end with what is wrong."""
    with stage.here.database.read(snapshot=True) as session:
        for dataset in session.scalars(sa.select(Dataset).where(Dataset.import_seq > 0)).all():
            differences = replay(session, dataset).differences
            if differences:
                sys.exit(f"The log of {dataset.name} does not lead to its labels: {differences}")
            try:
                assert_counters(session, dataset.id)
            except (AssertionError, AppError) as problem:
                sys.exit(f"The numbers of {dataset.name} are not those of its rows: {problem}")


if __name__ == "__main__":
    main()
