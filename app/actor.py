"""Who acts, and what their role allows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from app.errors import Forbidden
from app.languages import N_, _


class Role(StrEnum):
    """What a person may do; each role includes the ones before it."""

    VIEWER = "viewer"
    ANNOTATOR = "annotator"
    LEAD = "lead"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        """Its place in the order: a higher one may do more."""
        return _ORDER.index(self)


_ORDER = list(Role)
_NAMES = {
    Role.VIEWER: N_("viewer"),
    Role.ANNOTATOR: N_("annotator"),
    Role.LEAD: N_("lead"),
    Role.ADMIN: N_("admin"),
}


def role_name(role: Role) -> str:
    """Return what a role is called, in the language of the request."""
    return _(_NAMES[role])


class Place(Protocol):
    """Where a role counts: a dataset."""

    name: Any

    @property
    def id(self) -> Any: ...


@dataclass(frozen=True)
class Actor:
    """A person, or a token acting for one."""

    user_id: int
    name: str
    role: Role
    """Holds everywhere but in the datasets that say otherwise."""
    dataset_roles: Mapping[int, Role | None] = field(default_factory=dict, hash=False)
    """By a dataset's number, the role there; no role means that the dataset hides itself."""
    only: frozenset[int] | None = None
    """The only datasets there are for this actor; nothing means all of them."""

    def role_in(self, dataset_id: int | None) -> Role | None:
        """Return the role in a dataset, or outside of all; nothing where the dataset hides itself."""
        if dataset_id is None:
            return self.role
        if self.only is not None and dataset_id not in self.only:
            return None
        return self.dataset_roles.get(dataset_id, self.role)

    def may(self, role: Role, dataset_id: int | None = None) -> bool:
        """Say whether this actor has at least that role (in that dataset)."""
        own = self.role_in(dataset_id)
        return own is not None and own.rank >= role.rank

    def require(self, role: Role, place: Place | None = None) -> None:
        """Raise `Forbidden` unless this actor has at least that role (in that dataset)."""
        dataset_id = place.id if place is not None else None
        if not self.may(role, dataset_id):
            own = self.role_in(dataset_id)
            figures = {
                "name": self.name,
                "own": role_name(own) if own else _("none"),
                "role": role_name(role),
            }
            if place is None:
                raise Forbidden(_("%(name)s has the role %(own)s; this needs the role %(role)s.", **figures))
            raise Forbidden(
                _(
                    "%(name)s has the role %(own)s; this needs the role %(role)s in %(place)s.",
                    place=place.name,
                    **figures,
                )
            )

    def require_somewhere(self, role: Role) -> None:
        """Raise `Forbidden` unless this actor has at least that role outside of datasets or in one."""
        if not any(self.may(role, dataset_id) for dataset_id in (None, *self.dataset_roles)):
            self.require(role)


LOCAL = Actor(user_id=1, name="local", role=Role.ADMIN)
"""The person at this machine, for commands and for the browser while nobody has a login."""
NOBODY = Actor(user_id=0, name="nobody", role=Role.VIEWER, only=frozenset())
"""Whoever has not said who they are: no dataset is there for them."""
