"""Secrets at rest: encrypted with a key that is not in the database."""

import base64
import os
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from app.config import Settings
from app.errors import Unavailable
from app.languages import _

KEY_FILE = "secret.key"
KEY_BYTES = 32
PURPOSE = b"setright: keys of services"


def seal(settings: Settings, secret: str) -> str:
    """Encrypt a secret; the key is made in SETRIGHT_HOME where there is none."""
    return _cipher(_secret_key(settings, make=True)).encrypt(secret.encode()).decode()


def unseal(settings: Settings, sealed: str) -> str:
    """Decrypt what `seal` gave; `Unavailable` where another key sealed it."""
    try:
        return _cipher(_secret_key(settings, make=False)).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise Unavailable(
            _(
                "The kept key cannot be decrypted: it was encrypted with another "
                "SETRIGHT_SECRET_KEY, or with another %(key_file)s in SETRIGHT_HOME. Bring that "
                "back, or enter the key again.",
                key_file=KEY_FILE,
            )
        ) from None


def _cipher(secret_key: bytes) -> Fernet:
    derived = HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=PURPOSE).derive(secret_key)
    return Fernet(base64.urlsafe_b64encode(derived))


def _secret_key(settings: Settings, *, make: bool) -> bytes:
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value().encode()
    path = settings.home / KEY_FILE
    if make and not path.exists():
        _make(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise Unavailable(
            _(
                "The kept key cannot be decrypted: %(path)s cannot be read (%(strerror)s).",
                path=path,
                strerror=error.strerror,
            )
        ) from None


def _make(path: Path) -> None:
    """Write a random key that only this user may read; whoever is first wins."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.part")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(os.urandom(KEY_BYTES))
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
