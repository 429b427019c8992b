"""Browsers of people with a login."""

from fastapi import FastAPI

from app.actor import Role
from app.db import Database
from tests import factories
from tests.web.browsing import Browser
from tests.web.conftest import client_of


def signed_in(
    web: FastAPI, database: Database, role: Role, *, scripts: bool = False, name: str = ""
) -> Browser:
    """Make a person of that role and return their browser, signed in by the form."""
    name = name or role.value
    factories.make_user(database, name, role)
    browser = Browser(client_of(web))
    page = browser.open("/sign-in")
    page = browser.submit(page.form("/sign-in"), name=name, password=factories.PASSWORD)
    assert page.status == 200
    browser.scripts = scripts
    return browser
