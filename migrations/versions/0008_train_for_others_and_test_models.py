"""Train for others, and test models"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
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


def upgrade() -> None:
    op.add_column("fine_tunes", sa.Column("remote_validation_id", sa.String(200), nullable=True))
    op.add_column("fine_tunes", sa.Column("trained_tokens", sa.BigInteger(), nullable=True))
    op.add_column(
        "fine_tunes", sa.Column("has_test", sa.Boolean(), nullable=False, server_default=sa.false())
    )
    op.add_column("fine_tunes", sa.Column("wish", sa.String(10), nullable=False, server_default=""))
    op.add_column("fine_tunes", sa.Column("note", sa.Text(), nullable=True))
    for name in ("log", "curve"):
        op.add_column("fine_tunes", sa.Column(name, sa.Text(), nullable=False, server_default="[]"))
    op.create_table(
        "providers",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("sealed_key", sa.Text(), nullable=False),
        sa.Column("concurrency", sa.Integer(), nullable=False),
        sa.Column("requests_per_minute", sa.Integer(), nullable=False),
        sa.Column("input_price", sa.Double(), nullable=True),
        sa.Column("output_price", sa.Double(), nullable=True),
        sa.Column("created_by_id", BIG_ID, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        refers("providers", "created_by_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_providers")),
        sa.UniqueConstraint("name", name=op.f("uq_providers_name")),
        sqlite_autoincrement=True,
    )
    create_tests()
    create_own_server()


def create_tests() -> None:
    op.create_table(
        "model_tests",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("dataset_id", BIG_ID, nullable=False),
        sa.Column("version_id", BIG_ID, nullable=False),
        sa.Column("fine_tune_id", BIG_ID, nullable=True),
        sa.Column("provider", sa.String(40), nullable=False),
        sa.Column("base_url", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("asking", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.Column("input_tokens", BIG_ID, nullable=False),
        sa.Column("output_tokens", BIG_ID, nullable=False),
        sa.Column("results", sa.Text(), nullable=False),
        *run_columns(),
        refers("model_tests", "created_by_id", "users"),
        refers("model_tests", "dataset_id", "datasets", ondelete="CASCADE"),
        refers("model_tests", "version_id", "versions"),
        refers("model_tests", "fine_tune_id", "fine_tunes"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_tests")),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_model_tests_dataset", "model_tests", ["dataset_id", "id"])
    op.create_table(
        "model_answers",
        sa.Column("test_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("example_id", BIG_ID, autoincrement=False, nullable=False),
        sa.Column("label_id", BIG_ID, nullable=True),
        sa.Column("answer", sa.Text(), nullable=False),
        refers("model_answers", "test_id", "model_tests", ondelete="CASCADE"),
        refers("model_answers", "example_id", "examples", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("test_id", "example_id", name=op.f("pk_model_answers")),
    )
    op.create_index("ix_model_answers_example", "model_answers", ["example_id"])


def create_own_server() -> None:
    op.create_table(
        "api_files",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("purpose", sa.String(20), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("bytes", BIG_ID, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created_by_id", BIG_ID, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        refers("api_files", "created_by_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_files")),
        sa.UniqueConstraint("name", name=op.f("uq_api_files_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "training_jobs",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("training_file", sa.String(40), nullable=False),
        sa.Column("validation_file", sa.String(40), nullable=True),
        sa.Column("suffix", sa.String(64), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("hyperparameters", sa.Text(), nullable=False),
        sa.Column("marks", sa.Text(), nullable=False),
        sa.Column("is_paused", sa.Boolean(), nullable=False),
        sa.Column("error_code", sa.String(40), nullable=True),
        sa.Column("trained_tokens", sa.BigInteger(), nullable=True),
        sa.Column("fine_tuned_model", sa.String(200), nullable=True),
        sa.Column("log", sa.Text(), nullable=False),
        sa.Column("checkpoints", sa.Text(), nullable=False),
        *run_columns(),
        refers("training_jobs", "created_by_id", "users"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_training_jobs")),
        sa.UniqueConstraint("name", name=op.f("uq_training_jobs_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "trained_models",
        sa.Column("id", BIG_ID, nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("job_id", BIG_ID, nullable=False),
        sa.Column("base_model", sa.Text(), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("created_by_id", BIG_ID, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        refers("trained_models", "created_by_id", "users"),
        refers("trained_models", "job_id", "training_jobs"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trained_models")),
        sa.UniqueConstraint("name", name=op.f("uq_trained_models_name")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    for table in (
        "trained_models",
        "training_jobs",
        "api_files",
        "model_answers",
        "model_tests",
        "providers",
    ):
        op.drop_table(table)
    for name in ("curve", "log", "note", "wish", "has_test", "trained_tokens", "remote_validation_id"):
        op.drop_column("fine_tunes", name)
