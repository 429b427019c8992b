"""Show progress and open pairs"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FINAL = "('kept', 'accepted', 'overridden', 'excluded', 'auto_fixed')"
OPEN_ISSUE = {
    "sqlite": "is_issue IS 1 AND is_open IS 1",
    "postgresql": "is_issue IS true AND is_open IS true",
}


def upgrade() -> None:
    op.create_table(
        "progress",
        sa.Column("dataset_id", BIG_ID, nullable=False),
        sa.Column("hour", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("in_bulk", sa.Boolean(), nullable=False),
        sa.Column("resolved", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_progress_dataset_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_progress_user_id")),
        sa.PrimaryKeyConstraint("dataset_id", "hour", "user_id", "in_bulk", name=op.f("pk_progress")),
    )
    op.create_index(
        "ix_scores_open_pairs",
        "scores",
        [
            "run_id",
            "split",
            "given_label_id",
            "suggested_label_id",
            "rank_key",
            "example_id",
            "is_recommended",
        ],
        sqlite_where=sa.text(OPEN_ISSUE["sqlite"]),
        postgresql_where=sa.text(OPEN_ISSUE["postgresql"]),
    )
    op.add_column("samples", sa.Column("purpose", sa.String(20), nullable=False, server_default="rule"))
    op.add_column("labels", sa.Column("resolved_count", sa.BigInteger(), nullable=False, server_default="0"))
    _fill()


def _fill() -> None:
    """Count what was resolved so far; what a person did in bulk counts as such by its batch."""
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    hour = (
        "strftime('%Y-%m-%d %H:00:00.000000', d.created_at)"
        if is_sqlite
        else "date_trunc('hour', d.created_at, 'UTC')"
    )
    bulk = "d.batch_id IS NOT NULL OR o.batch_id IS NOT NULL"
    op.execute(
        "INSERT INTO progress (dataset_id, hour, user_id, in_bulk, resolved) "  # noqa: S608 — no input in it
        "SELECT dataset_id, hour, user_id, in_bulk, SUM(more) FROM ("
        f"SELECT d.dataset_id AS dataset_id, {hour} AS hour, d.user_id AS user_id, ({bulk}) AS in_bulk, "
        f"(CASE WHEN d.new_state IN {FINAL} THEN 1 ELSE 0 END) - "
        f"(CASE WHEN d.old_state IN {FINAL} THEN 1 ELSE 0 END) AS more "
        "FROM decisions d LEFT JOIN decisions o ON o.id = d.undoes_id) AS counted "
        "GROUP BY dataset_id, hour, user_id, in_bulk HAVING SUM(more) <> 0"
    )
    op.execute(
        "UPDATE labels SET resolved_count = found.n FROM (SELECT given_label_id AS label_id, COUNT(*) AS n "  # noqa: S608 — no input in it
        f"FROM examples WHERE split = 'train' AND state IN {FINAL} GROUP BY given_label_id) AS found "
        "WHERE found.label_id = labels.id"
    )


def downgrade() -> None:
    op.drop_column("labels", "resolved_count")
    op.drop_column("samples", "purpose")
    op.drop_index("ix_scores_open_pairs", "scores")
    op.drop_table("progress")
