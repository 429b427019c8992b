"""Keep who may do what, and where people are signed in"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    # Column by column: SQLite cannot make a table anew while others refer to it.
    op.add_column("users", sa.Column("is_guest", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.add_column("users", sa.Column("subject", sa.Text(), nullable=True))
    op.create_index("uq_users_subject", "users", ["subject"], unique=True)
    op.add_column("tokens", sa.Column("scope", sa.String(20), nullable=False, server_default="all"))
    op.add_column("tokens", sa.Column("dataset_id", BIG_ID, nullable=True))
    op.add_column(
        "login_sessions", sa.Column("method", sa.String(20), nullable=False, server_default="password")
    )
    op.add_column("login_sessions", sa.Column("browser", sa.Text(), nullable=False, server_default=""))
    op.add_column("login_sessions", sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True))
    op.create_table(
        "dataset_roles",
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("dataset_id", BIG_ID, nullable=False),
        sa.Column("role", sa.String(20), nullable=True),
        sa.ForeignKeyConstraint(
            ["dataset_id"], ["datasets.id"], name=op.f("fk_dataset_roles_dataset_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_dataset_roles_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "dataset_id", name=op.f("pk_dataset_roles")),
    )
    op.create_index("ix_dataset_roles_dataset", "dataset_roles", ["dataset_id"])
    op.create_table(
        "sign_in_links",
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_sign_in_links_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("hash", name=op.f("pk_sign_in_links")),
    )


def downgrade() -> None:
    op.drop_table("sign_in_links")
    op.drop_table("dataset_roles")
    for name in ("last_seen_at", "browser", "method"):
        op.drop_column("login_sessions", name)
    for name in ("dataset_id", "scope"):
        op.drop_column("tokens", name)
    op.drop_index("uq_users_subject", "users")
    for name in ("subject", "is_guest"):
        op.drop_column("users", name)
