"""What `serve --sample`, and so `make run`, opens."""

from app.commands import samples
from app.commands.session import Here
from app.config import Settings
from app.db import Database
from tests import factories
from tests.commands.terminal import Terminal
from tests.loop.serving import printed


def test_the_sample_is_opened_where_it_is_one_of_several(terminal: Terminal) -> None:
    terminal.run("migrate")
    database = Database(f"sqlite:///{terminal.home / 'setright.db'}")
    sample_id = factories.make_dataset(database, name=samples.SUPPORT)
    factories.make_dataset(database, name="Own")
    database.close()
    with printed(terminal, "serve", "--sample", "--no-worker", local_access="open") as address:
        assert address.endswith(f"/datasets/{sample_id}/review")


def test_no_sample_is_made_beside_own_datasets(settings: Settings, database: Database) -> None:
    factories.make_dataset(database, name="Own")
    assert samples.offered(Here(settings, database)) is None
