"""Index the words of a large file after it is shown"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
COLUMNS = ("words_left", "words_id")


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("imports", sa.Column(name, BIG_ID, nullable=False, server_default="0"))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("imports", name)
