"""Uploads of the tests of imports."""

from app.db import Database
from app.models import Import
from tests.web.browsing import Browser, Page

CSV = b"id,text,label,channel\n1,Where is it?,order,chat\n2,Money back,refund,mail\n3,Broken,fault,chat\n"
EVIL_NAME = '../../"evil"<b>.csv'


def upload(
    browser: Browser, content: bytes = CSV, name: str = "requests.csv", path: str = "/datasets/new"
) -> Page:
    form = browser.open(path).form("/imports")
    form.attached = (name, content)
    return browser.submit(form)


def one_import(database: Database) -> Import:
    with database.read() as session:
        found = session.query(Import).order_by(Import.id.desc()).first()
        assert found is not None
        session.expunge(found)
        return found


def change(database: Database, **values: object) -> None:
    with database.write() as session:
        found = session.query(Import).order_by(Import.id.desc()).first()
        for name, value in values.items():
            setattr(found, name, value)
