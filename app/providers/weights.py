"""Model files that come inside installed packages: where they are, and whether they are the known ones."""

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from app.errors import Unavailable


def package_folder(package: str) -> Path | None:
    """Return where a package is installed, without importing it; None where it is missing."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def check_weights(folder: Path, digests: Mapping[str, str], *, embedder: str) -> None:
    """Refuse files that are missing or changed.

    Parameters
    ----------
    folder : Path
    digests : mapping of file name to sha256 in hexadecimal
    embedder : str
        Who needs them, for the sentence.

    Raises
    ------
    Unavailable
        When a file is missing or is another than the known one.
    """
    for name, digest in digests.items():
        path = folder / name
        if not path.is_file():
            raise Unavailable(f"The weights of the embedder {embedder} are missing: {path}.")
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise Unavailable(f"The weights of the embedder {embedder} are not the known ones: {path}.")


def readable(text: str) -> str:
    """Return the text with the replacement character for each lone surrogate, which no tokenizer takes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
