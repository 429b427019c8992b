"""Run every benchmark: `python -m bench [--quick]`; full results are kept in bench/results."""

import subprocess
import sys

from bench.report import ROOT

NAMES = (
    "detection", "embedders", "calibration", "autofix", "review_effort", "speed", "scale",
    "experiments", "files", "bulk", "web", "load", "faults", "fuzz",
)  # fmt: skip


def main() -> None:
    extra = sys.argv[1:]
    failed = []
    for name in NAMES:
        kept = ROOT / "bench" / ("results" if "--quick" not in extra else "results-quick") / f"{name}.json"
        print(f"## {name}", flush=True)
        command = [sys.executable, "-m", f"bench.{name}", *extra, "--json", str(kept)]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            failed.append(name)
    if failed:
        sys.exit(f"Could not measure: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
