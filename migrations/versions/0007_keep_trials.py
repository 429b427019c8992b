"""Keep each training of an experiment"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Column by column: SQLite cannot make a table anew while others refer to it.
    op.add_column("experiments", sa.Column("plan", sa.Text(), nullable=False, server_default="{}"))
    op.add_column("experiments", sa.Column("label_ids", sa.Text(), nullable=False, server_default="[]"))
    op.add_column("experiments", sa.Column("repeats_id", sa.BigInteger(), nullable=True))
    op.add_column("experiments", sa.Column("test_ids", sa.LargeBinary(), nullable=True))
    op.add_column("experiments", sa.Column("test_labels", sa.LargeBinary(), nullable=True))
    op.create_table(
        "trials",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("experiment_id", BIG_ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("predicted", sa.LargeBinary(), nullable=False),
        sa.Column("details", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["experiment_id"],
            ["experiments.id"],
            name=op.f("fk_trials_experiment_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trials")),
        sa.UniqueConstraint("experiment_id", "name", "seed", name=op.f("uq_trials_experiment_id_name_seed")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("trials")
    for name in ("test_labels", "test_ids", "repeats_id", "label_ids", "plan"):
        op.drop_column("experiments", name)
