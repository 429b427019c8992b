"""Work together: leases, presence, assigned rows, second opinions"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def run_columns() -> list[sa.Column[Any]]:
    return [
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
    ]


def refers(table: str, column: str, to: str, *, ondelete: str | None = None) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{column}")
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=name, ondelete=ondelete)


def of_row(table: str) -> list[Any]:
    """Return what every table has that says something of single rows."""
    return [
        sa.Column("example_id", BIG_ID, nullable=False, autoincrement=False),
        sa.Column("dataset_id", BIG_ID, nullable=False),
        refers(table, "example_id", "examples", ondelete="CASCADE"),
        refers(table, "dataset_id", "datasets", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("example_id", name=op.f(f"pk_{table}")),
    ]


def upgrade() -> None:
    op.add_column("datasets", sa.Column("second_share", sa.Double(), nullable=False, server_default="0"))
    op.add_column("datasets", sa.Column("second_seed", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "leases",
        *of_row("leases"),
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("taken_at", TIME, nullable=False),
        sa.Column("expires_at", TIME, nullable=False),
        refers("leases", "user_id", "users", ondelete="CASCADE"),
    )
    op.create_index("ix_leases_dataset", "leases", ["dataset_id", "expires_at"])
    op.create_index("ix_leases_user", "leases", ["user_id"])
    op.create_table(
        "presences",
        sa.Column("dataset_id", BIG_ID, nullable=False),
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("seen_at", TIME, nullable=False),
        refers("presences", "dataset_id", "datasets", ondelete="CASCADE"),
        refers("presences", "user_id", "users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("dataset_id", "user_id", name=op.f("pk_presences")),
    )
    op.create_table(
        "assigned_rows",
        *of_row("assigned_rows"),
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("is_done", sa.Boolean(), nullable=False),
        refers("assigned_rows", "user_id", "users", ondelete="CASCADE"),
    )
    op.create_index(
        "ix_assigned_rows_person", "assigned_rows", ["dataset_id", "user_id", "is_done", "example_id"]
    )
    op.create_index("ix_assigned_rows_user", "assigned_rows", ["user_id"])
    op.create_table(
        "assignments",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("dataset_id", BIG_ID, nullable=False),
        sa.Column("filter", sa.Text(), nullable=False),
        sa.Column("shares", sa.Text(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=True),
        sa.Column("cursor", sa.String(100), nullable=True),
        sa.Column("rows", BIG_ID, nullable=False),
        *run_columns(),
        refers("assignments", "dataset_id", "datasets", ondelete="CASCADE"),
        refers("assignments", "created_by_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignments")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_assignments_dataset", "assignments", ["dataset_id", "id"])
    is_open = sa.text("state IN ('queued', 'running')")
    op.create_index(
        "uq_assignments_one_open",
        "assignments",
        ["dataset_id"],
        unique=True,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
    op.create_table(
        "second_opinions",
        *of_row("second_opinions"),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("first_decision_id", BIG_ID, nullable=False),
        sa.Column("first_user_id", BIG_ID, nullable=False),
        sa.Column("first_label_id", sa.BigInteger(), nullable=True),
        sa.Column("first_state", sa.String(20), nullable=False),
        sa.Column("second_user_id", BIG_ID, nullable=True),
        sa.Column("second_label_id", sa.BigInteger(), nullable=True),
        sa.Column("second_state", sa.String(20), nullable=True),
        sa.Column("second_note", sa.Text(), nullable=False),
        sa.Column("second_at", TIME, nullable=True),
        sa.Column("settled_decision_id", sa.BigInteger(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        refers("second_opinions", "first_user_id", "users"),
        refers("second_opinions", "second_user_id", "users"),
    )
    op.create_index("ix_second_opinions_dataset", "second_opinions", ["dataset_id", "state", "example_id"])
    op.create_index("ix_second_opinions_first_user", "second_opinions", ["first_user_id"])
    op.create_index("ix_second_opinions_second_user", "second_opinions", ["second_user_id"])


def downgrade() -> None:
    for table in ("second_opinions", "assignments", "assigned_rows", "presences", "leases"):
        op.drop_table(table)
    op.drop_column("datasets", "second_seed")
    op.drop_column("datasets", "second_share")
