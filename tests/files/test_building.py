from pathlib import Path

import pytest

from app.errors import InvalidInput
from app.files.guess import guess_columns, proposed_name
from app.files.reading import read_rows
from app.files.rows import Columns, JsonValue, Layout, Limits
from tests.files.given import LIMITS, read, saved


def test_every_role_lands_in_the_row(tmp_path: Path) -> None:
    text = (
        "Nr,Satz,Klasse,split,rater,source\n7,hallo du,gut,Training,ann,web\n8,tschüss,schlecht,test,,app\n"
    )
    columns = Columns("Satz", "Klasse", id="Nr", split="split", annotator="rater", metadata=("source",))
    rows = read(tmp_path, text, columns=columns).rows
    first, second = rows
    assert (first.id, first.text, first.label, first.split, first.annotator) == (
        "7",
        "hallo du",
        "gut",
        "train",
        "ann",
    )
    assert (first.metadata, first.context) == ({"source": "web"}, None)
    assert (second.split, second.annotator) == ("test", None)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (",x,train", "no text"),
        (" \u3000\t,x,train", "no text"),
        ("a,,train", "no label"),
        ("a,  ,train", "no label"),
        (f"a,{'b' * 201},train", "label of 201 characters; the limit is 200"),
        (f"{'a' * 1001},x,train", "text of 1,001 characters; the limit is 1,000 (SETRIGHT_MAX_TEXT_CHARS)"),
        ("a,x,dev", "split 'dev' is neither train nor test"),
        ("a,x,validation", "split 'validation' is neither train nor test"),
    ],
)
def test_unusable_rows_are_rejected(tmp_path: Path, cells: str, reason: str) -> None:
    text = f"text,label,split\nok,x,TEST\n{cells}\nfine,x,\n"
    found = read(tmp_path, text, limits=Limits(max_text_chars=1000))
    assert found.reasons == [(3, reason)]
    assert [row.split for row in found.rows] == ["test", None]
    assert 0 < len(found.rejected[0].raw) <= 500


def test_unlabelled_rows_are_kept_on_request(tmp_path: Path) -> None:
    found = read(tmp_path, "text,label\na,\nb,x\n", allow_unlabelled=True)
    assert found.labels == [None, "x"]


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        (Columns(None, "label"), "Say which column holds the text."),
        (Columns("text", None), "Say which column holds the label."),
        (Columns("text", "klass"), 'There is no column "klass"; the columns are text, label.'),
        (Columns("text", "label", metadata=("x",)), 'There is no column "x"; the columns are text, label.'),
    ],
)
def test_columns_must_be_there(tmp_path: Path, columns: Columns, sentence: str) -> None:
    path = saved(tmp_path, "text,label\na,b\n", "a.csv")
    with pytest.raises(InvalidInput) as error:
        list(read_rows(path, Layout("csv"), columns, limits=LIMITS))
    assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("header", "guess"),
    [
        ("id,text,label", Columns("text", "label", id="id")),
        ("Label,Tweet Text,Tweet", Columns("Tweet", "Label", metadata=("Tweet Text",))),
        ("sentence,category,true_label", Columns("sentence", "category", metadata=("true_label",))),
        ("utterance,intent,gold,truth", Columns("utterance", "intent", metadata=("gold", "truth"))),
        ("文本,标签,编号", Columns("文本", "标签", id="编号")),
        ("texte,catégorie,annotateur", Columns("texte", "catégorie", annotator="annotateur")),
        (
            "review_id,review,sentiment,split",
            Columns("review", "sentiment", split="split", metadata=("review_id",)),
        ),
        ("text,given_label,label", Columns("text", "label", metadata=("given_label",))),
        ("テキスト,ラベル", Columns("テキスト", "ラベル")),
    ],
)
def test_columns_are_guessed_by_name(header: str, guess: Columns) -> None:
    assert guess_columns(header.split(","), []) == guess


def test_columns_are_guessed_by_shape() -> None:
    samples: list[dict[str, JsonValue]] = [
        {"a": f"k{n}", "b": f"a rather long sentence about thing {n}", "c": "x" if n % 3 else "y", "d": n / 7}
        for n in range(50)
    ]
    assert guess_columns(["a", "b", "c", "d"], samples) == Columns("b", "c", id="a", metadata=("d",))


def test_truth_is_never_guessed_as_the_label() -> None:
    samples: list[dict[str, JsonValue]] = [
        {"q": f"some long text number {n}", "truth": str(n % 2), "expert_label": str(n % 2)}
        for n in range(50)
    ]
    guess = guess_columns(["q", "truth", "expert_label"], samples)
    assert (guess.text, guess.label) == ("q", None)


def test_a_set_that_is_no_split_is_metadata() -> None:
    samples: list[dict[str, JsonValue]] = [
        {"text": f"t {n}", "label": "a", "set": f"lego {n % 3}"} for n in range(9)
    ]
    assert guess_columns(["text", "label", "set"], samples).split is None


@pytest.mark.parametrize(
    ("file_name", "proposed"),
    [
        ("Support requests.csv", "Support requests"),
        ("tweets_train.jsonl.gz", "tweets"),
        ("intents-HOLDOUT.csv", "intents"),
        ("contest.csv", "contest"),
        ("my labels.csv", ""),
        ("train-00000-of-00001.parquet", ""),
        ("train.csv", ""),
        ("tweets/data/train.csv", "tweets"),
        ("C:\\labels\\all.xlsx", ""),
        ("训练集.csv", ""),
        ("客户请求.csv", "客户请求"),
        ("pasted text", ""),
        ("a\x00b\n.csv", "a b"),
        ("_" * 100_000 + ".csv", ""),  # would take an hour if it were not cut
    ],
)
def test_a_name_is_proposed_where_the_file_says_one(file_name: str, proposed: str) -> None:
    assert proposed_name(file_name) == proposed
