"""Which column is the text, which the label: by name in several languages, then by shape."""

import re
from collections.abc import Mapping, Sequence

from app.files.rows import Columns, JsonValue
from app.files.values import to_text


def _words(names: str) -> tuple[str, ...]:
    return tuple(names.split())


# In order of preference; compared without case, spaces, dashes and underscores.
TEXT_NAMES = _words(
    "text sentence utterance prompt content comment message tweet review question query "
    "body document input request headline title description post abstract texts sentences "
    "texte phrase commentaire avis satz kommentar nachricht beschreibung frage texto "
    "frase comentario mensaje mensagem testo messaggio recensione commento tekst "
    "opmerking zin metin yorum текст сообщение комментарий отзыв 文本 内容 文章 句子 评论 評論 テキスト "
    "本文 文 コメント 텍스트 본문 문장 نص النص पाठ "
)
LABEL_NAMES = _words(
    "label givenlabel labels category intent class target sentiment topic completion tag "
    "classification emotion output categories intents y labelname labeltext classname "
    "categoryname annotation étiquette etiquette catégorie categorie classe kategorie "
    "klasse kennzeichnung etiqueta categoría categoria clase rótulo rotulo etichetta "
    "categoriaetichetta klas etiket sınıf метка класс категория 标签 标注 类别 類別 标记 分类 ラベル "
    "カテゴリ 分類 레이블 라벨 카테고리 분류 تصنيف الفئة "
)
ID_NAMES = _words(
    "id textid rowid exampleid uid uuid guid externalid recordid docid documentid "
    "sampleid tweetid commentid key identifier identifiant kennung identificador "
    "идентификатор 编号 序号 番号 번호 idx index "
)
SPLIT_NAMES = _words("split subset partition fold set dataset datasplit 划分 分割 aufteilung ")
ANNOTATOR_NAMES = _words(
    "annotator annotatorid rater raterid labeler labeller annotatedby labeledby worker "
    "workerid user annotateur annotatorin anotador annotatore разметчик 标注者 标注员 アノテーター "
)
# Names of files whose rows are for judging, not for learning.
_TEST, _TRAIN = "tests?|testing|valid|validation|val|hold_?out|dev|eval", "train(?:ing)?"
TEST_FILE = re.compile(rf"(?<![^\W_])({_TEST})(?![^\W_])")
TRAIN_FILE = re.compile(rf"(?<![^\W_])({_TRAIN})(?![^\W_])")
_SPLIT_WORD = re.compile(rf"[\W_]*(?<![^\W_])(?:{_TEST}|{_TRAIN})(?![^\W_])[\W_]*", re.IGNORECASE)
# What files are called whatever they hold.
GENERIC_NAMES = frozenset(
    _words(
        "data dataset datasets label labels labelled labeled unlabelled unlabeled all full complete raw "
        "clean corrected row rows text texts pasted file files export exports output result results sample "
        "samples example examples table sheet book untitled unnamed new final copy download downloads upload "
        "uploads csv tsv json jsonl parquet xlsx zip split splits part of the my tmp temp home desktop "
        "documents 数据 数据集 标签 标注 全部 样本 训练 训练集 测试 测试集 导出 新建 "
    )
)
NAME_CHARS = 100
"""Of the name that is proposed for a dataset."""
# Columns that hold the truth are for scoring a result, never for making one.
TRUTH = re.compile(r"true|truth|gold|correct|reference|expert")

LABEL_DISTINCT_SHARE = 0.5
ID_CHARS = 64
FEWEST_FOR_ID = 3
LABEL_CHARS = 80


def guess_columns(columns: Sequence[str], samples: Sequence[Mapping[str, JsonValue]]) -> Columns:
    """Propose the role of every column from its name and from a sample of its values."""
    taken: set[str] = set()
    text = _by_name(columns, TEXT_NAMES, taken)
    label = _by_name(columns, LABEL_NAMES, taken)
    given_id = _by_name(columns, ID_NAMES, taken)
    split = _split(columns, samples, taken)
    annotator = _by_name(columns, ANNOTATOR_NAMES, taken)
    cells = {column: _cells(column, samples) for column in columns}
    text = text or _longest(cells, taken)
    label = label or _few_distinct(cells, taken)
    given_id = given_id or _all_distinct(cells, taken)
    rest = tuple(column for column in columns if column not in taken)
    return Columns(text=text, label=label, id=given_id, split=split, annotator=annotator, metadata=rest)


def names_test_rows(file_name: str) -> bool:
    """Whether a file's own name, the folders left out, says that its rows are for testing."""
    name = re.split(r"[/\\]", file_name)[-1].lower()
    return bool(TEST_FILE.search(name)) and not TRAIN_FILE.search(name)


def subject_of(file_name: str) -> str:
    """Return what is left of a file's name without folders, endings and the words for a split.

    Returns
    -------
    str
        In lower case; empty where the name says nothing but the split, as `test.csv` does.
    """
    stem = re.split(r"[/\\]", file_name)[-1].lower().partition(".")[0]
    for words in (TEST_FILE, TRAIN_FILE):
        stem = words.sub(" ", stem)
    return re.sub(r"[\W_]+", " ", stem).strip()


def proposed_name(file_name: str) -> str:
    """Propose a name for the dataset that a file holds: what the file is called after, else its folder.

    Returns
    -------
    str
        Empty where none of them says what the rows are, as in `data/train.csv`.
    """
    *folders, file = re.split(r"[/\\]", file_name)
    for name in (file.partition(".")[0], *reversed(folders)):
        # Cut first: looking for words in very many signs takes the square of their number.
        shown = "".join(char if char.isprintable() else " " for char in name[: 2 * NAME_CHARS])
        said = _SPLIT_WORD.sub(" ", shown).strip()[:NAME_CHARS]
        words = re.findall(r"[^\W\d_]+", said.casefold())
        if not said.endswith(":") and not GENERIC_NAMES.issuperset(words):
            return said
    return ""


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-.]+", "", name).casefold()


def _by_name(columns: Sequence[str], names: Sequence[str], taken: set[str]) -> str | None:
    plain = {_plain(column): column for column in reversed(columns) if column not in taken}
    for name in names:
        column = plain.get(name)
        if column is not None:
            taken.add(column)
            return column
    return None


def _split(columns: Sequence[str], samples: Sequence[Mapping[str, JsonValue]], taken: set[str]) -> str | None:
    """Give the split column, only where some value says train or test: a "set" may be anything."""
    before = set(taken)
    column = _by_name(columns, SPLIT_NAMES, taken)
    values = {cell.strip().lower() for cell in _cells(column, samples)} if column else set()
    if column and not samples:
        return column
    if values & {"train", "test", "training", "testing"}:
        return column
    taken.intersection_update(before)
    return None


def _cells(column: str, samples: Sequence[Mapping[str, JsonValue]]) -> list[str]:
    shown = (to_text(sample.get(column)) for sample in samples)
    return [cell for cell in shown if cell]


def _is_truth(column: str) -> bool:
    return bool(TRUTH.search(column.casefold()))


def _longest(cells: Mapping[str, list[str]], taken: set[str]) -> str | None:
    lengths = {
        column: sum(map(len, values)) / len(values)
        for column, values in cells.items()
        if values and column not in taken and not _is_truth(column)
    }
    if not lengths:
        return None
    column = max(lengths, key=lengths.__getitem__)
    if all(_is_number(cell) for cell in cells[column]):
        return None
    taken.add(column)
    return column


def _few_distinct(cells: Mapping[str, list[str]], taken: set[str]) -> str | None:
    shares = {
        column: len(set(values)) / len(values)
        for column, values in cells.items()
        if len(values) > 1
        and column not in taken
        and not _is_truth(column)
        and max(map(len, values)) <= LABEL_CHARS
    }
    shares = {column: share for column, share in shares.items() if share <= LABEL_DISTINCT_SHARE}
    if not shares:
        return None
    # A class has more than one value and is seldom a number with decimals.
    column = min(
        shares, key=lambda name: (len(set(cells[name])) == 1, _has_decimals(cells[name]), shares[name])
    )
    taken.add(column)
    return column


def _all_distinct(cells: Mapping[str, list[str]], taken: set[str]) -> str | None:
    for column, values in cells.items():
        if column in taken or len(values) < FEWEST_FOR_ID or _is_truth(column) or _has_decimals(values):
            continue
        if (
            len(set(values)) == len(values)
            and max(map(len, values)) <= ID_CHARS
            and not any(map(_has_space, values))
        ):
            taken.add(column)
            return column
    return None


def _is_number(cell: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?", cell))


def _has_decimals(values: Sequence[str]) -> bool:
    return any(_is_number(value) and not value.lstrip("+-").isdigit() for value in values)


def _has_space(value: str) -> bool:
    return any(char.isspace() for char in value)
