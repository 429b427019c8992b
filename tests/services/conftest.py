"""People for the tests of services, on both databases."""

import pytest

from app.actor import Actor, Role
from app.db import Database
from tests.factories import make_user


@pytest.fixture
def ann(any_database: Database) -> Actor:
    return make_user(any_database, "Ann", Role.ANNOTATOR)


@pytest.fixture
def bob(any_database: Database) -> Actor:
    return make_user(any_database, "Bob", Role.ANNOTATOR)


@pytest.fixture
def viewer(any_database: Database) -> Actor:
    return make_user(any_database, "Vera", Role.VIEWER)
