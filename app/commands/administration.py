"""Commands about people and tokens."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

from app.actor import LOCAL, Role
from app.commands.session import MAX_ID, opened, say
from app.errors import Conflict
from app.models.people import TokenScope, User
from app.services import datasets
from app.services.accounts import access, people, sessions

PasswordOption = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input instead of asking.")
]


class DatasetRole(StrEnum):
    """What somebody may do in one dataset."""

    VIEWER = "viewer"
    ANNOTATOR = "annotator"
    LEAD = "lead"
    ADMIN = "admin"
    NONE = "none"
    ELSEWHERE = "elsewhere"


def register(cli: typer.Typer) -> None:
    """Add the commands of this file."""
    user = typer.Typer(help="People with a login.", no_args_is_help=True)
    user.command("add", epilog="Example: setright user add ann --role annotator")(add_user)
    user.command("list", epilog="Example: setright user list")(list_users)
    user.command("role", epilog="Example: setright user role ann lead")(set_role)
    user.command("link", epilog="Example: setright user link ann")(make_link)
    user.command("off", epilog="Example: setright user off ann")(switch_off)
    user.command("on", epilog="Example: setright user on ann")(switch_on)
    user.command("dataset", epilog="Example: setright user dataset ann Requests --role lead")(
        set_dataset_role
    )
    user.command("password", epilog="Example: setright user password ann")(set_password)
    cli.add_typer(user, name="user")
    token = typer.Typer(help="Tokens with which programs act for people.", no_args_is_help=True)
    token.command("create", epilog="Example: setright token create ci --user ann --days 90")(create_token)
    token.command("list", epilog="Example: setright token list")(list_tokens)
    token.command("revoke", epilog="Example: setright token revoke 3")(revoke_token)
    cli.add_typer(token, name="token")


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def add_user(
    name: Annotated[str, typer.Argument(help="Name to sign in with.")],
    role: Annotated[Role, typer.Option(help="What the person may do.")] = Role.ANNOTATOR,
    password_stdin: PasswordOption = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="They come by `setright user link` or by single sign-on.")
    ] = False,
    guest: Annotated[
        bool, typer.Option("--guest", help="Sees only datasets that give a role: `setright user dataset`.")
    ] = False,
) -> None:
    """Give somebody a login. From the first one on, everybody has to sign in."""
    password = None if no_password else _password(from_stdin=password_stdin)
    with opened() as here, here.database.write() as session:
        people.create_user(session, name, role, password, is_guest=guest, actor=LOCAL)
    say(f"{name} can sign in, as {role}.")


def list_users() -> None:
    """List everybody with a login."""
    with opened() as here, here.database.read() as session:
        users = people.list_users(session)
    for user in users:
        guest = ", guest" if user.is_guest else ""
        say(f"{user.name}: {user.role}{guest}{'' if user.is_active else ', switched off'}")
    if not users:
        say("Nobody has a login: the pages are open to this machine only.")


def set_role(
    name: Annotated[str, typer.Argument(help="Name of the person.")],
    role: Annotated[Role, typer.Argument(help="The new role.")],
) -> None:
    """Give somebody another role."""
    with opened() as here, here.database.write() as session:
        people.set_role(session, name, role, actor=LOCAL)
    say(f"{name} is {role} now.")


def set_password(
    name: Annotated[str, typer.Argument(help="Name of the person.")], password_stdin: PasswordOption = False
) -> None:
    """Set somebody's password and end their open logins."""
    with opened() as here:
        with here.database.read() as session:
            people.get_user(session, name)
        password = _password(from_stdin=password_stdin)
        with here.database.write() as session:
            people.set_password(session, name, password, actor=LOCAL)
    say(f"{name} has a new password; open logins have ended.")


def make_link(
    name: Annotated[
        str | None, typer.Argument(help="For whom; for this machine, while nobody has a login, if not said.")
    ] = None,
    hours: Annotated[int, typer.Option(min=1, max=720, help="How long it can be used.")] = 24,
) -> None:
    """Print a link that signs one browser in, once; there a forgotten password can be set anew."""
    with opened() as here, here.database.write() as session:
        if name is None and people.has_logins(session):
            raise Conflict("People have logins here: say for whom the link is.")
        user = people.get_user(session, name) if name else session.get_one(User, LOCAL.user_id)
        secret = sessions.make_link(session, user, hours=hours, actor=LOCAL)
        settings = here.settings
    start = settings.base_url.rstrip("/") or f"http://{settings.host}:{settings.port}"
    say(f"{start}/open?key={secret}")


def switch_off(name: Annotated[str, typer.Argument(help="Name of the person.")]) -> None:
    """Keep somebody out: every login ends, and tokens rest."""
    with opened() as here, here.database.write() as session:
        people.set_active(session, people.get_user(session, name), is_active=False, actor=LOCAL)
    say(f"{name} is switched off.")


def switch_on(name: Annotated[str, typer.Argument(help="Name of the person.")]) -> None:
    """Let somebody in again."""
    with opened() as here, here.database.write() as session:
        people.set_active(session, people.get_user(session, name), is_active=True, actor=LOCAL)
    say(f"{name} can come in again.")


def set_dataset_role(
    name: Annotated[str, typer.Argument(help="Name of the person.")],
    dataset: Annotated[str, typer.Argument(help="Name of the dataset.")],
    role: Annotated[
        DatasetRole, typer.Option(help="A role, `none` to hide the dataset, `elsewhere` for the usual one.")
    ],
) -> None:
    """Give somebody another role in one dataset."""
    with opened() as here, here.database.write() as session:
        user, found = people.get_user(session, name), datasets.get_by_name(session, dataset)
        if role is DatasetRole.ELSEWHERE:
            access.forget_role_in(session, found, user, actor=LOCAL)
        else:
            own = None if role is DatasetRole.NONE else Role(role.value)
            access.set_role_in(session, found, user, own, actor=LOCAL)
    say(f"In {dataset}, the role of {name} is now: {role}.")


def create_token(
    name: Annotated[str, typer.Argument(help="What the token is for.")],
    user: Annotated[
        str | None, typer.Option(help="For whom it acts; this machine's admin if not said.")
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="After how many days it ends.")] = None,
    scope: Annotated[TokenScope, typer.Option(help="What it may do at most.")] = TokenScope.ALL,
    dataset: Annotated[str | None, typer.Option(help="The only dataset in which it works.")] = None,
) -> None:
    """Make a token; it is shown once."""
    with opened() as here, here.database.write() as session:
        dataset_id = datasets.get_by_name(session, dataset).id if dataset else None
        secret, token = people.create_token(
            session, user, name, days=days, scope=scope, dataset_id=dataset_id, actor=LOCAL
        )
    say(f"Token {token.id}, shown only now: {secret}")


def list_tokens() -> None:
    """List the tokens that work."""
    with opened() as here, here.database.read() as session:
        tokens = people.list_tokens(session)
    for token in tokens:
        ends = f", ends {token.expires_at:%Y-%m-%d}" if token.expires_at else ""
        used = f"last used {token.last_used_at:%Y-%m-%d %H:%M} UTC" if token.last_used_at else "never used"
        scope = "" if token.scope is TokenScope.ALL else f", scope {token.scope}"
        where = f", in dataset {token.dataset_id}" if token.dataset_id else ""
        say(f"{token.id}: {token.name}, {used}{ends}{scope}{where}")
    if not tokens:
        say("There is no token.")


def revoke_token(
    token_id: Annotated[int, typer.Argument(metavar="TOKEN", min=1, max=MAX_ID, help="Number of the token.")],
) -> None:
    """Make a token worthless."""
    with opened() as here, here.database.write() as session:
        people.revoke_token(session, token_id, actor=LOCAL)
    say(f"Token {token_id} no longer works.")
