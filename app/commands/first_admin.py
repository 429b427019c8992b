"""The first admin of an installation that nobody sits in front of."""

from contextlib import suppress

from app.actor import LOCAL, Role
from app.commands.session import Here
from app.errors import Conflict, Unavailable
from app.services.accounts import people


def make_first_admin(here: Here) -> None:
    """Make the admin whose password the settings name a file for, unless somebody has a login already."""
    file = here.settings.admin_password_file
    with here.database.read() as session:
        if file is None or people.has_logins(session):
            return
    try:
        password = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise Unavailable(f"SETRIGHT_ADMIN_PASSWORD_FILE: {file} cannot be read: {why}.") from None
    # Where two web processes start at once, one of them makes the admin.
    with suppress(Conflict), here.database.write() as session:
        people.create_user(session, here.settings.admin_name, Role.ADMIN, password, actor=LOCAL)
