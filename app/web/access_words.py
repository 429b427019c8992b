"""How roles, scopes and browsers are written on a page."""

import re

from app.actor import Role, role_name
from app.languages import N_, _
from app.models.people import SignInMethod, TokenScope

ROLES = {
    Role.VIEWER: N_("Looks at everything and downloads files; changes nothing."),
    Role.ANNOTATOR: N_("Decides rows, freezes versions and writes exports."),
    Role.LEAD: N_("Brings data, scores it, changes many rows at once, edits labels, compares and trains."),
    Role.ADMIN: N_("May do everything: deletes datasets and manages people, too."),
}
SCOPES = {
    TokenScope.READ: N_("read only"),
    TokenScope.DECIDE: N_("read and decide rows"),
    TokenScope.ALL: N_("all that you may"),
}
METHODS = {
    SignInMethod.PASSWORD: N_("by password"),
    SignInMethod.LINK: N_("by a link"),
    SignInMethod.SINGLE_SIGN_ON: N_("by single sign-on"),
}
# The first that fits: Edge and Opera call themselves Chrome as well, and Chrome calls itself Safari.
_BROWSERS = (
    ("Edge", r"\bEdgA?/"),
    ("Opera", r"\bOPR/"),
    ("Firefox", r"\bFirefox/"),
    ("Chrome", r"\b(?:Headless)?Chrome/"),
    ("Safari", r"\bSafari/"),
)
_SYSTEMS = (
    ("Android", r"Android"),
    ("iOS", r"iPhone|iPad"),
    ("Windows", r"Windows"),
    ("macOS", r"Mac OS X"),
    ("Linux", r"Linux"),
)


def role_meaning(role: Role) -> str:
    """Say what a role may do; each may do what the ones before it may."""
    return _(ROLES[role])


def scope_name(scope: TokenScope) -> str:
    """Write how far a token reaches."""
    return _(SCOPES[scope])


def method_name(method: SignInMethod) -> str:
    """Write how somebody has signed in."""
    return _(METHODS[method])


def browser_name(agent: str) -> str:
    """Name a browser and its system as people know them, or a program as it calls itself."""
    browser = _first(_BROWSERS, agent)
    system = _first(_SYSTEMS, agent)
    if browser and system:
        return f"{browser}, {system}"
    return browser or system or agent.split("/", maxsplit=1)[0][:40].strip() or _("unknown")


def _first(names: tuple[tuple[str, str], ...], agent: str) -> str:
    return next((name for name, pattern in names if re.search(pattern, agent)), "")


FILTERS = {
    "role_name": role_name,
    "role_meaning": role_meaning,
    "scope_name": scope_name,
    "method_name": method_name,
    "browser_name": browser_name,
}
"""What templates may call on a value."""
