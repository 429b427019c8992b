"""Move labels, and keep the names they had"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Column by column: SQLite cannot make a table anew while others refer to it.
    op.add_column("labels", sa.Column("source_name", sa.Text(), nullable=False, server_default=""))
    op.add_column("labels", sa.Column("colour", sa.String(20), nullable=False, server_default=""))
    op.add_column("labels", sa.Column("merged_into_id", sa.BigInteger(), nullable=True))
    op.add_column("labels", sa.Column("retired_after", sa.BigInteger(), nullable=True))
    op.execute("UPDATE labels SET source_name = name")
    op.create_index("uq_labels_source_name", "labels", ["dataset_id", "source_name"], unique=True)
    op.create_table(
        "label_renames",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("dataset_id", BIG_ID, nullable=False),
        sa.Column("label_id", BIG_ID, nullable=False),
        sa.Column("old_name", sa.Text(), nullable=False),
        sa.Column("last_version_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_label_renames_dataset_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["label_id"], ["labels.id"], name=op.f("fk_label_renames_label_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_label_renames")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_label_renames_dataset", "label_renames", ["dataset_id", "last_version_id"])
    op.add_column("examples", sa.Column("source_label_id", sa.BigInteger(), nullable=True))
    op.execute("UPDATE examples SET source_label_id = given_label_id")
    op.add_column(
        "decisions", sa.Column("moves_given", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    for name in ("old_given_id", "new_given_id", "decided_by_id"):
        op.add_column("decisions", sa.Column(name, sa.BigInteger(), nullable=True))
    op.add_column("batches", sa.Column("cursor", BIG_ID, nullable=False, server_default="0"))
    op.add_column("scoring_runs", sa.Column("batch_id", sa.BigInteger(), nullable=True))
    op.create_index("ix_events_actor", "events", ["dataset_id", "actor_id", "id"])
    op.create_index("ix_events_subject", "events", ["dataset_id", "subject_id", "id"])


def downgrade() -> None:
    op.drop_index("ix_events_subject", "events")
    op.drop_index("ix_events_actor", "events")
    op.drop_column("scoring_runs", "batch_id")
    op.drop_column("batches", "cursor")
    for name in ("decided_by_id", "new_given_id", "old_given_id", "moves_given"):
        op.drop_column("decisions", name)
    op.drop_column("examples", "source_label_id")
    op.drop_table("label_renames")
    op.drop_index("uq_labels_source_name", "labels")
    for name in ("retired_after", "merged_into_id", "colour", "source_name"):
        op.drop_column("labels", name)
