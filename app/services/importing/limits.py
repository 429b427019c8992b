"""The bounds of one file, as the settings have them."""

from app.config import Settings
from app.files.rows import Limits


def limits_of(settings: Settings) -> Limits:
    """Return the bounds of one file."""
    return Limits(
        max_file_bytes=settings.max_file_bytes,
        max_unzipped_bytes=settings.max_unzipped_bytes,
        max_zip_ratio=settings.max_zip_ratio,
        max_columns=settings.max_columns,
        max_line_bytes=settings.max_line_bytes,
        max_text_chars=settings.max_text_chars,
        max_classes=settings.max_classes,
    )
