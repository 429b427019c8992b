import pytest
from pydantic import SecretStr

from app.actor import LOCAL, Actor
from app.config import Settings
from app.db import Database
from app.errors import Conflict, Forbidden, InvalidInput, NotFound, Unavailable
from app.models import Provider
from app.services.operation import vault
from app.services.tuning import providers
from app.services.tuning.providers import Service, ServiceDetails
from tests.services.checking import last_event

KEY = "a-very-secret-key-81f"
USUAL = ServiceDetails("nebius", "https://127.0.0.1:7/v1/", SecretStr(KEY))


def add(database: Database, settings: Settings, details: ServiceDetails = USUAL) -> Service:
    with database.write() as session:
        return providers.add(session, settings, details, actor=LOCAL)


def key_of(database: Database, settings: Settings, name: str, base_url: str) -> str:
    with database.read() as session:
        return providers.key_of(session, settings, name, base_url=base_url)


def test_a_key_is_kept_encrypted_and_opened_for_its_address_alone(
    any_settings: Settings, any_database: Database
) -> None:
    added = add(any_database, any_settings)
    assert (added.name, added.base_url, added.key_from) == ("nebius", "https://127.0.0.1:7/v1", "here")
    assert KEY not in repr(added)
    with any_database.read() as session:
        kept = session.get_one(Provider, added.id)
        assert KEY not in kept.sealed_key
        assert KEY not in str(last_event(session).new)
    assert (any_settings.home / vault.KEY_FILE).stat().st_mode & 0o777 == 0o600
    assert key_of(any_database, any_settings, "nebius", added.base_url) == KEY
    with pytest.raises(Unavailable, match="its key is not sent there"):
        key_of(any_database, any_settings, "nebius", "https://127.0.0.1:8/v1")


def test_a_key_of_another_home_is_not_opened(settings: Settings, database: Database) -> None:
    added = add(database, settings)
    (settings.home / vault.KEY_FILE).write_bytes(b"another" * 5)
    with pytest.raises(Unavailable, match="encrypted with another SETRIGHT_SECRET_KEY"):
        key_of(database, settings, "nebius", added.base_url)
    (settings.home / vault.KEY_FILE).unlink()
    with pytest.raises(Unavailable, match="cannot be read"):
        key_of(database, settings, "nebius", added.base_url)
    shared = settings.model_copy(update={"secret_key": SecretStr("said by the operator")})
    details = ServiceDetails("other", "https://127.0.0.1:7/v1", SecretStr(KEY))
    add(database, shared, details)
    assert key_of(database, shared, "other", details.base_url) == KEY
    assert not (settings.home / vault.KEY_FILE).exists()


def test_the_environment_comes_before_what_is_kept(settings: Settings, database: Database) -> None:
    added = add(database, settings)
    said = settings.model_copy(update={"provider_keys": {"nebius": SecretStr("from-outside")}})
    with database.read() as session:
        assert providers.get(session, said, "nebius").key_from == "settings"
    assert key_of(database, said, "nebius", added.base_url) == "from-outside"
    with pytest.raises(Unavailable, match="SETRIGHT_OPENAI_API_KEY"):
        key_of(database, settings, "openai", settings.openai_base_url)


def test_another_address_needs_the_key_again(settings: Settings, database: Database) -> None:
    added = add(database, settings)
    assert added.id is not None
    moved = ServiceDetails("nebius", "https://127.0.0.1:9/v1")
    with database.write() as session, pytest.raises(InvalidInput, match="needs the key again"):
        providers.change(session, settings, added.id, moved, actor=LOCAL)
    priced = ServiceDetails("nebius", added.base_url, input_price=0.5, output_price=1.5)
    with database.write() as session:
        changed = providers.change(session, settings, added.id, priced, actor=LOCAL)
    assert (changed.key_from, changed.input_price) == ("here", 0.5)
    with database.write() as session:
        providers.remove(session, added.id, actor=LOCAL)
        assert last_event(session).name == "provider.removed"
    with database.read() as session, pytest.raises(InvalidInput, match="'nebius' is no provider"):
        providers.get(session, settings, "nebius")


@pytest.mark.parametrize(
    ("details", "says"),
    [
        (ServiceDetails("", "https://host/v1"), "name is 1 to 40"),
        (ServiceDetails("a b", "https://host/v1"), "name is 1 to 40"),
        (ServiceDetails("a", "ftp://host/v1"), "begins with https://"),
        (ServiceDetails("a", "https://"), "begins with https://"),
        (ServiceDetails("a", "https://host:port/v1"), "begins with https://"),
        (ServiceDetails("a", "https://me:secret@host/v1"), "no user, no password"),
        (ServiceDetails("a", "https://host/v1?key=1"), "short plain ASCII"),
        (ServiceDetails("a", "https://host\\@other/v1"), "short plain ASCII"),
        (ServiceDetails("a", "http://10.0.0.1/v1"), "not a public address"),
        (ServiceDetails("a", "https://host/v1", SecretStr("two words")), "not one word"),
        (ServiceDetails("a", "https://host/v1", SecretStr("line\nbreak")), "not one word"),
        (ServiceDetails("a", "https://host/v1", concurrency=0), "1 to 64 requests"),
        (ServiceDetails("a", "https://host/v1", input_price=float("nan")), "A price is"),
    ],
)
def test_details_that_are_refused(
    settings: Settings, database: Database, details: ServiceDetails, says: str
) -> None:
    with pytest.raises(InvalidInput, match=says):
        add(database, settings, details)


def test_who_may_and_what_is_taken(settings: Settings, database: Database, ann: Actor) -> None:
    add(database, settings)
    for name in ("nebius", "openai"):
        with pytest.raises(Conflict, match=f"already a provider called {name}"):
            add(database, settings, ServiceDetails(name, "https://host/v1"))
    with database.write() as session, pytest.raises(Forbidden):
        providers.add(session, settings, USUAL, actor=ann)
    with database.write() as session, pytest.raises(NotFound):
        providers.remove(session, 99, actor=LOCAL)
