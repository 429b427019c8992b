from app.files.rows import Columns, Layout


def test_layouts_and_columns_survive_storage() -> None:
    layout = Layout(
        "csv", encoding="utf-8", delimiter=";", quotechar="'", sheet="A", separator=" ->", stop=" END"
    )
    columns = Columns(text="t", label=None, id="i", split="s", annotator="a", metadata=("m", "n"))
    assert Layout.from_json(layout.to_json()) == layout
    assert Columns.from_json(columns.to_json()) == columns
    assert Layout.from_json({"format": "jsonl"}) == Layout("jsonl")
