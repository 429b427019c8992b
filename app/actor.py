"""Who acts, and what their role allows."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from app.errors import Forbidden


class Role(StrEnum):
    """What a person may do; each role includes the ones before it."""

    VIEWER = "viewer"
    ANNOTATOR = "annotator"
    LEAD = "lead"
    ADMIN = "admin"


_ORDER = list(Role)


class Place(Protocol):
    """Where a role counts: a dataset."""

    name: str


@dataclass(frozen=True)
class Actor:
    """A person, or a token acting for one."""

    user_id: int
    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Say whether this actor has at least that role."""
        return _ORDER.index(self.role) >= _ORDER.index(role)

    def require(self, role: Role, place: Place | None = None) -> None:
        """Raise `Forbidden` unless this actor has at least that role (on that dataset)."""
        if not self.may(role):
            where = f" in {place.name}" if place is not None else ""
            raise Forbidden(f"{self.name} has the role {self.role}; this needs the role {role}{where}.")


LOCAL = Actor(user_id=1, name="local", role=Role.ADMIN)
"""The person at this machine, for commands and for the browser while nobody has a login."""
