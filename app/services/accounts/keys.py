"""Keys: which key does what in the review, chosen per person."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.actor import Actor
from app.errors import InvalidInput
from app.languages import N_, _
from app.services.accounts import preferences

ACTIONS = {
    "keep": N_("Keep the given label"),
    "accept": N_("Accept the suggested label"),
    "exclude": N_("Exclude the row from corrected exports"),
    "needs_review": N_("Set it aside: needs review"),
    "undo": N_("Undo your last verdict"),
    "next": N_("Next row"),
    "previous": N_("Previous row"),
    "pick": N_("Pick the row, for one verdict on several"),
    "labels": N_("Search the labels"),
    "note": N_("Write a note, kept with your verdict"),
    "search": N_("Search the texts"),
    "help": N_("Show the keys"),
}
"""What keys can do, and how it is called; the digits 1 to 9 always choose a label."""
USUAL = {
    "keep": "q",
    "accept": "w",
    "exclude": "e",
    "needs_review": "n",
    "undo": "z",
    "next": "j",
    "previous": "k",
    "pick": "x",
    "labels": "l",
    "note": "m",
    "search": "/",
    "help": "?",
}
KEYMAPS: dict[str, dict[str, str]] = {
    "qwerty": USUAL,
    "azerty": USUAL | {"keep": "a", "accept": "z", "undo": "w"},
    "qwertz": USUAL | {"undo": "y"},
    "prodigy": USUAL
    | {"accept": "a", "keep": "x", "needs_review": "space", "undo": "backspace", "pick": "v"},
}
"""Keymaps to choose from: the same places on three keyboards, and Prodigy's keys."""
NAMED = {
    "space": N_("Space"),
    "backspace": "⌫",
    "delete": "Del",
    "arrowup": "↑",
    "arrowdown": "↓",
    "arrowleft": "←",
    "arrowright": "→",
}
"""Keys that are no character, and how they are shown."""
_NAME = "keys"


@dataclass(frozen=True)
class Keys:
    """A person's keys; `keymap` is empty where they are none of those there are to choose from."""

    keymap: str
    of: Mapping[str, str]

    def shown(self, action: str) -> str:
        """Return an action's key as it is written on a button."""
        key = self.of[action]
        return _(NAMED[key]) if key in NAMED else key.upper()


def titles() -> dict[str, str]:
    """Return what keys can do, in the language of the request."""
    return {action: _(title) for action, title in ACTIONS.items()}


def get(session: Session, *, actor: Actor) -> Keys:
    """Return the actor's keys."""
    return of_preferences(preferences.all_of(session, actor=actor))


def of_preferences(kept: Mapping[str, Any]) -> Keys:
    """Return the keys of somebody with these preferences."""
    changed = kept.get(_NAME, {})
    return _named(USUAL | {action: key for action, key in changed.items() if action in ACTIONS})


def _named(keys: dict[str, str]) -> Keys:
    return Keys(next((name for name, known in KEYMAPS.items() if known == keys), ""), keys)


def choose(session: Session, keymap: str, *, actor: Actor) -> Keys:
    """Take one of the keymaps."""
    if keymap not in KEYMAPS:
        raise InvalidInput(
            _(
                "There is no keymap %(keymap)r; there are %(keymaps)s.",
                keymap=keymap[:50],
                keymaps=", ".join(KEYMAPS),
            )
        )
    return change(session, KEYMAPS[keymap], actor=actor)


def change(session: Session, wanted: Mapping[str, str], *, actor: Actor) -> Keys:
    """Give actions other keys; actions that are not named keep theirs."""
    keys = {**get(session, actor=actor).of}
    for action, key in wanted.items():
        if action not in ACTIONS:
            raise InvalidInput(_("No key can do %(action)r.", action=action[:50]))
        keys[action] = _read(key, action)
    _refuse_conflicts(keys)
    changed = {action: key for action, key in keys.items() if USUAL[action] != key}
    preferences.put(session, _NAME, changed or None, actor=actor)
    return _named(keys)


def _read(written: str, action: str) -> str:
    key = written if written == " " else written.strip().casefold()
    by_sign = {shown.casefold(): name for name, shown in NAMED.items()} | {" ": "space"}
    key = by_sign.get(key, key)
    if key in NAMED:
        return key
    if len(key) != 1 or not key.isprintable() or key.isspace():
        raise InvalidInput(
            _(
                "%(written)r is no key for “%(title)s”: write one character, Space, Backspace, "
                "Delete or the name of an arrow key.",
                written=written[:20],
                title=_(ACTIONS[action]),
            )
        )
    if key.isdigit():
        raise InvalidInput(
            _(
                "The digits choose labels; “%(title)s” needs another key than %(key)s.",
                title=_(ACTIONS[action]),
                key=key,
            )
        )
    return key


def _refuse_conflicts(keys: Mapping[str, str]) -> None:
    first: dict[str, str] = {}
    for action, key in keys.items():
        if key in first:
            shown = _(NAMED[key]) if key in NAMED else key.upper()
            raise InvalidInput(
                _(
                    "The key %(shown)s cannot do both “%(title)s” and “%(other)s”: choose another "
                    "for one of them.",
                    shown=shown,
                    title=_(ACTIONS[first[key]]),
                    other=_(ACTIONS[action]),
                )
            )
        first[key] = action
