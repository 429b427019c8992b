"""The tests' databases share the statements that SQLAlchemy has written, and nothing else."""

from pathlib import Path

import sqlalchemy as sa


def made(file: Path, number: int) -> sa.Engine:
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE things (number INTEGER)")
        connection.exec_driver_sql("INSERT INTO things VALUES (?)", (number,))
    return engine


def test_a_statement_is_written_once_and_asks_each_database(tmp_path: Path) -> None:
    asked = sa.select(sa.table("things", sa.column("number", sa.Integer)).c.number)
    written, found = [], []
    for number in (1, 2):
        engine = made(tmp_path / f"{number}.db", number)
        with engine.connect() as connection:
            answer = connection.execute(asked)
            written.append(answer.context.compiled)
            found.append(answer.scalar_one())
        engine.dispose()
    assert found == [1, 2]
    assert written[0] is written[1]
