"""Made-up datasets that ship with the product, for the first minute and for demonstrations."""

from importlib import resources
from pathlib import Path

from app.errors import NotFound
from app.languages import _


def sample_path(name: str = "support_requests") -> Path:
    """Where the sample dataset of this name lies on disk.

    Parameters
    ----------
    name : str
        Name of the sample, without folder or ending.

    Returns
    -------
    Path
        An existing CSV file, UTF-8, comma-separated, with a header line.

    Raises
    ------
    NotFound
        There is no sample of that name.
    """
    path = Path(str(resources.files(__name__))) / f"{name}.csv"
    if not name.isidentifier() or not path.is_file():
        raise NotFound(_("There is no sample dataset called %(name)s.", name=name))
    return path
