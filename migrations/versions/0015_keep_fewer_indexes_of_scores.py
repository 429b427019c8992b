"""Keep fewer indexes of scores: each verdict writes those of the columns it changes"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

RANKED, OPEN, PAIRS = "ix_scores_ranked", "ix_scores_open", "ix_scores_open_pairs"
OF_RANKED = ["run_id", "split", "is_issue", "is_open", "rank_key", "example_id"]
OF_OPEN = ["run_id", "split", "is_open", "rank_key", "example_id"]
OF_PAIR = ["given_label_id", "suggested_label_id", "rank_key", "example_id", "is_recommended"]
OPEN_ISSUE = {
    "sqlite": "is_issue IS 1 AND is_open IS 1",
    "postgresql": "is_issue IS true AND is_open IS true",
}


def upgrade() -> None:
    for name in (OPEN, RANKED, PAIRS):
        op.drop_index(name, "scores")
    _index_open_issues(RANKED, OF_RANKED)
    _index_open_issues(PAIRS, ["run_id", "split", "is_issue", "is_open", *OF_PAIR])


def _index_open_issues(name: str, columns: list[str]) -> None:
    op.create_index(
        name,
        "scores",
        columns,
        sqlite_where=sa.text(OPEN_ISSUE["sqlite"]),
        postgresql_where=sa.text(OPEN_ISSUE["postgresql"]),
    )


def downgrade() -> None:
    for name in (PAIRS, RANKED):
        op.drop_index(name, "scores")
    _index_open_issues(PAIRS, ["run_id", "split", *OF_PAIR])
    op.create_index(RANKED, "scores", OF_RANKED)
    op.create_index(OPEN, "scores", OF_OPEN)
