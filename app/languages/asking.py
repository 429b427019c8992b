"""Which of our languages a browser would like best."""

from functools import lru_cache

from app.languages import ENGLISH, LANGUAGES

MOST_CHARS = 1000
"""Of the header; browsers send a few dozen."""


@lru_cache(maxsize=512)
def best_of(accepted: str) -> str:
    """Return the language for an `Accept-Language` header; English where it names none of ours.

    Parameters
    ----------
    accepted : str
        Ranges with weights, as `zh-CN, zh;q=0.9, en;q=0.5`; what cannot be read is passed over.

    Returns
    -------
    str
        A key of `LANGUAGES`: the one for the range of most weight (RFC 9110, 12.5.4), the first of equals.
        A range fits a language that begins with it, and failing that the first one of the same tongue:
        `zh-TW` is answered in the only Chinese there is.
    """
    ranges = [_weighed(part) for part in accepted[:MOST_CHARS].split(",")]
    refused = {name for name, weight in ranges if weight == 0}
    for name, weight in sorted(ranges, key=lambda one: -one[1]):
        language = _language(name, refused)
        if weight > 0 and language is not None:
            return language
    return ENGLISH


def _weighed(part: str) -> tuple[str, float]:
    name, _semicolon, weight = part.partition(";")
    key, _equals, value = weight.partition("=")
    name = name.strip().lower()
    if not weight.strip():
        return name, 1.0
    try:
        found = float(value) if key.strip().lower() == "q" else -1.0
    except ValueError:
        found = -1.0
    return name, found if 0 <= found <= 1 else 0.0


def _language(name: str, refused: set[str]) -> str | None:
    if name == "*":
        return next((one for one in LANGUAGES if one.lower() not in refused), None)
    while name:
        for one in LANGUAGES:
            if one.lower() == name or one.lower().startswith(f"{name}-"):
                return one
        name = name.rpartition("-")[0]
    return None
