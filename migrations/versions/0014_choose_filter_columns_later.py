"""Choose the columns to filter by later, and know which datasets have second opinions"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)
TABLE = "column_changes"
HAD_SOME = """
UPDATE datasets SET has_second_opinions = true
WHERE second_share > 0 OR EXISTS (SELECT 1 FROM second_opinions WHERE dataset_id = datasets.id)
"""


def upgrade() -> None:
    has_some: sa.Column[bool] = sa.Column(
        "has_second_opinions", sa.Boolean(), nullable=False, server_default=sa.false()
    )
    op.add_column("datasets", has_some)
    op.execute(HAD_SOME)
    op.add_column(
        "metadata_columns", sa.Column("state", sa.String(20), nullable=False, server_default="whole")
    )
    op.create_table(
        TABLE,
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("dataset_id", BIG_ID, nullable=False),
        sa.Column("added", sa.Text(), nullable=False),
        sa.Column("removed", sa.Text(), nullable=False),
        sa.Column("filled_id", sa.BigInteger(), nullable=False),
        sa.Column("last_id", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("phase", sa.String(40), nullable=False),
        sa.Column("phase_started_at", TIME, nullable=True),
        sa.Column("done", sa.BigInteger(), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("eta_seconds", sa.Double(), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_by_id", BIG_ID, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f(f"fk_{TABLE}_dataset_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["created_by_id"], ["users.id"], name=op.f(f"fk_{TABLE}_created_by_id")),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{TABLE}")),
        sqlite_autoincrement=True,
    )
    op.create_index(f"ix_{TABLE}_dataset", TABLE, ["dataset_id", "id"])
    is_open = sa.text("state IN ('queued', 'running')")
    op.create_index(
        f"uq_{TABLE}_one_open",
        TABLE,
        ["dataset_id"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )


def downgrade() -> None:
    op.drop_table(TABLE)
    # A column that is not whole, or on its way out, would be shown as if it were.
    op.execute("DELETE FROM metadata_columns WHERE state <> 'whole'")
    op.drop_column("metadata_columns", "state")
    op.drop_column("datasets", "has_second_opinions")
