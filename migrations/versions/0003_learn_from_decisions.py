"""Learn from decisions: orders of the queue, samples to review first"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
IS_OPEN = sa.text("state IN ('queued', 'running')")


def upgrade() -> None:
    # Never in batch mode: SQLite would drop the table to make it anew, and everything that refers to it.
    op.add_column("datasets", sa.Column("learning_id", sa.BigInteger(), nullable=True))
    _create_learnings()
    op.create_table(
        "front_rows",
        sa.Column("learning_id", BIG_ID, nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("example_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["example_id"], ["examples.id"], name=op.f("fk_front_rows_example_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["learning_id"], ["learnings.id"], name=op.f("fk_front_rows_learning_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("learning_id", "place", name=op.f("pk_front_rows")),
        sa.UniqueConstraint("learning_id", "example_id", name=op.f("uq_front_rows_learning_id_example_id")),
    )
    with op.batch_alter_table("front_rows", schema=None) as batch_op:
        batch_op.create_index("ix_front_rows_example", ["example_id"], unique=False)
    _create_samples()


def _create_learnings() -> None:
    op.create_table(
        "learnings",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("dataset_id", BIG_ID, nullable=False),
        sa.Column("run_id", BIG_ID, nullable=False),
        sa.Column("decision_id", BIG_ID, nullable=False),
        sa.Column("report", sa.Text(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("phase", sa.String(length=40), nullable=False),
        sa.Column("phase_started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("eta_seconds", sa.Double(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_by_id", BIG_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["created_by_id"], ["users.id"], name=op.f("fk_learnings_created_by_id")),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_learnings_dataset_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_learnings")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("learnings", schema=None) as batch_op:
        batch_op.create_index("ix_learnings_run", ["run_id", "id"], unique=False)
        batch_op.create_index(
            "uq_learnings_one_open",
            ["dataset_id"],
            unique=True,
            sqlite_where=IS_OPEN,
            postgresql_where=IS_OPEN,
        )


def _create_samples() -> None:
    op.create_table(
        "samples",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("dataset_id", BIG_ID, nullable=False),
        sa.Column("run_id", BIG_ID, nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("filter", sa.Text(), nullable=False),
        sa.Column("rows", sa.Integer(), nullable=False),
        sa.Column("created_by_id", BIG_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["created_by_id"], ["users.id"], name=op.f("fk_samples_created_by_id")),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_samples_dataset_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_samples")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("samples", schema=None) as batch_op:
        batch_op.create_index("ix_samples_dataset", ["dataset_id", "id"], unique=False)
    op.create_table(
        "sample_rows",
        sa.Column("sample_id", BIG_ID, nullable=False),
        sa.Column("example_id", BIG_ID, nullable=False),
        sa.ForeignKeyConstraint(
            ["example_id"], ["examples.id"], name=op.f("fk_sample_rows_example_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["sample_id"], ["samples.id"], name=op.f("fk_sample_rows_sample_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sample_id", "example_id", name=op.f("pk_sample_rows")),
    )
    with op.batch_alter_table("sample_rows", schema=None) as batch_op:
        batch_op.create_index("ix_sample_rows_example", ["example_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("sample_rows", schema=None) as batch_op:
        batch_op.drop_index("ix_sample_rows_example")
    op.drop_table("sample_rows")
    with op.batch_alter_table("samples", schema=None) as batch_op:
        batch_op.drop_index("ix_samples_dataset")
    op.drop_table("samples")
    with op.batch_alter_table("front_rows", schema=None) as batch_op:
        batch_op.drop_index("ix_front_rows_example")
    op.drop_table("front_rows")
    with op.batch_alter_table("learnings", schema=None) as batch_op:
        batch_op.drop_index("uq_learnings_one_open", sqlite_where=IS_OPEN, postgresql_where=IS_OPEN)
        batch_op.drop_index("ix_learnings_run")
    op.drop_table("learnings")
    op.drop_column("datasets", "learning_id")
