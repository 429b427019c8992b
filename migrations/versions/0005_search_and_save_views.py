"""Search texts by words, filter by metadata, keep views and preferences"""

import sqlalchemy as sa
from alembic import op

from app.services.ranking.search_words import prepared, tsvector

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IS_DECIDED = sa.text("decided_by_id IS NOT NULL")
OF_SELECTION = sa.text("selection_id IS NOT NULL")
HAS_RANK = sa.text("issue_rank IS NOT NULL")
CHUNK = 2000


def upgrade() -> None:
    _create_metadata()
    _create_kept()
    op.create_index(
        "ix_examples_person",
        "examples",
        ["dataset_id", "decided_by_id", "id"],
        sqlite_where=IS_DECIDED,
        postgresql_where=IS_DECIDED,
    )
    op.add_column("decisions", sa.Column("selection_id", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_decisions_selection",
        "decisions",
        ["selection_id", "id"],
        sqlite_where=OF_SELECTION,
        postgresql_where=OF_SELECTION,
    )
    op.create_index(
        "ix_scores_rank",
        "scores",
        ["run_id", "split", "issue_rank"],
        sqlite_where=HAS_RANK,
        postgresql_where=HAS_RANK,
    )
    _create_search()
    _index_rows()


def _create_metadata() -> None:
    op.create_table(
        "metadata_columns",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("dataset_id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("known", sa.Text(), nullable=False),
        sa.Column("backfilled_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_metadata_columns_dataset_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_metadata_columns")),
        sa.UniqueConstraint("dataset_id", "name", name=op.f("uq_metadata_columns_dataset_id_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "metadata_values",
        sa.Column("column_id", BIG_ID, nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("example_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["column_id"],
            ["metadata_columns.id"],
            name=op.f("fk_metadata_values_column_id"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["example_id"], ["examples.id"], name=op.f("fk_metadata_values_example_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("column_id", "value", "example_id", name=op.f("pk_metadata_values")),
    )
    op.create_index("ix_metadata_values_example", "metadata_values", ["example_id", "column_id"])


def _create_kept() -> None:
    op.create_table(
        "saved_views",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("dataset_id", BIG_ID, nullable=False),
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("is_shared", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_saved_views_dataset_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_saved_views_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
        sa.UniqueConstraint(
            "dataset_id", "user_id", "name", name=op.f("uq_saved_views_dataset_id_user_id_name")
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "preferences",
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_preferences_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "name", name=op.f("pk_preferences")),
    )


def _is_sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _create_search() -> None:
    if _is_sqlite():
        op.execute(
            "CREATE VIRTUAL TABLE search_words USING fts5(words, tokenize = \"ascii tokenchars '+#$%&@'\")"
        )
        op.execute(
            "CREATE TRIGGER search_words_follow AFTER DELETE ON examples "
            "BEGIN DELETE FROM search_words WHERE rowid = old.id; END"
        )
        return
    op.execute(
        "CREATE TABLE search_words (example_id bigint PRIMARY KEY "
        "REFERENCES examples (id) ON DELETE CASCADE, words tsvector NOT NULL)"
    )
    op.execute("CREATE INDEX ix_search_words ON search_words USING gin (words)")


def _index_rows() -> None:
    """Index the rows that are there; later ones are indexed as they are imported."""
    connection = op.get_bind()
    read = sa.text("SELECT id, text FROM examples WHERE id > :last ORDER BY id LIMIT :chunk")
    if _is_sqlite():
        write, words = sa.text("INSERT INTO search_words (rowid, words) VALUES (:id, :words)"), prepared
    else:
        write = sa.text("INSERT INTO search_words VALUES (:id, CAST(:words AS tsvector))")
        words = tsvector
    last = 0
    while rows := connection.execute(read, {"last": last, "chunk": CHUNK}).all():
        connection.execute(write, [{"id": row.id, "words": words(row.text)} for row in rows])
        last = rows[-1].id


def downgrade() -> None:
    if _is_sqlite():
        op.execute("DROP TRIGGER search_words_follow")
    op.execute("DROP TABLE search_words")
    op.drop_index(
        "ix_decisions_selection", "decisions", sqlite_where=OF_SELECTION, postgresql_where=OF_SELECTION
    )
    op.drop_column("decisions", "selection_id")
    op.drop_index("ix_scores_rank", "scores", sqlite_where=HAS_RANK, postgresql_where=HAS_RANK)
    op.drop_index("ix_examples_person", "examples", sqlite_where=IS_DECIDED, postgresql_where=IS_DECIDED)
    for table in ("preferences", "saved_views", "metadata_values", "metadata_columns"):
        op.drop_table(table)
