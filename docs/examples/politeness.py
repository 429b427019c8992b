"""The original article, with the client: wrong labels, set right within a bound, and what it was worth.

The article fine-tuned a model on requests from Wikipedia whose politeness one person each had rated, found
wrong labels by confident learning, and fine-tuned again on the corrected file. Here every step is a call.

    python docs/examples/politeness.py --url http://127.0.0.1:8321 --train train.csv --test test.csv
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from app.client import Client


def tell(
    client: Client, train: pd.DataFrame, test: pd.DataFrame, *, name: str, embedder: str
) -> dict[str, Any]:
    """Go through the article; return the accuracy by variant and what else the reader should see."""
    # 1. The rows. The test rows are frozen: nothing below ever changes them.
    client.upload(train, name, text="text", label="label", id="id", split="train")
    client.upload(test, name, text="text", label="label", id="id", split="test")
    print(f"{len(train):,} rows to train on, {len(test):,} to test on, labels: {client.labels(name)}")

    # 2. Out-of-sample probabilities and confident learning: which labels are probably wrong?
    run = client.score(name, embedder=embedder, seed=0)
    issues = client.issues(name)
    print(f"\n{run['issues']:,} labels look wrong. The worst:")
    shown = ["given_label", "suggested_label", "self_confidence", "text"]
    print(issues[shown].head(5).to_string(index=False))

    # 3. The article replaced every flagged label. What would that be worth here?
    everything = client.autofix_preview(name, "all")
    bounded = client.autofix_preview(name, "recommended")
    print(f"\nReplacing every flagged label changes {everything['rows']:,} rows.")
    print(f"Recommended is to change {bounded['rows']:,}: {bounded['advice']}")

    # 4. A person looks at the worst ones. Here, nobody does: we set the first five aside.
    wishes = pd.DataFrame({"id": issues["id"].head(5), "verdict": "needs_review"})
    client.decide_many(name, wishes)

    # 5. Within the bound, as one batch that can be taken back.
    batch = client.autofix(name, "recommended") if bounded["rows"] else None

    # 6. The corrected file, ready for any training.
    corrected = client.export(name, variant="corrected", split="train")
    changed = int((corrected["label"] != corrected["given_label"]).sum())
    print(f"\nThe corrected file has {len(corrected):,} rows, {changed:,} of them with another label.")

    # 7. The same training on raw, dropped and corrected labels, judged by the same test rows.
    found = client.experiment(name, trainer="linear", seeds=[0])
    accuracy = {variant: one["accuracy"] for variant, one in found["results"]["variants"].items()}
    print("\nAccuracy on the test rows:")
    print(pd.Series(accuracy).to_string())
    return {
        "accuracy": accuracy,
        "issues": run["issues"],
        "changed": changed,
        "batch": batch["id"] if batch else None,
    }


def main() -> None:
    """Read the arguments and go through the article."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--url", default="http://127.0.0.1:8321")
    parser.add_argument("--token")
    parser.add_argument("--train", type=Path, required=True, help="CSV with id, text and label")
    parser.add_argument("--test", type=Path, required=True)
    parser.add_argument("--name", default="politeness")
    parser.add_argument("--embedder", default="use")
    said = parser.parse_args()
    train, test = (pd.read_csv(path, dtype=str, keep_default_na=False) for path in (said.train, said.test))
    with Client(said.url, token=said.token) as client:
        tell(client, train, test, name=said.name, embedder=said.embedder)


if __name__ == "__main__":
    main()
