"""Settings: every field can be set by an environment variable with the prefix SETRIGHT_ or in a file .env."""

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from platformdirs import user_data_path
from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict


class Settings(BaseSettings):
    """What an operator may choose; each field says what it does, in its unit."""

    model_config = SettingsConfigDict(
        env_prefix="SETRIGHT_", env_file=".env", env_ignore_empty=True, extra="ignore", populate_by_name=True
    )

    home: Path = Field(
        default_factory=lambda: user_data_path("setright", appauthor=False),
        description="Folder of the SQLite database, uploads, exports and cached embeddings.",
    )
    database_url: str = Field(
        "", description="SQLAlchemy URL of the database; empty means SQLite in SETRIGHT_HOME."
    )
    database_connections: int = Field(
        0,
        ge=0,
        description="Most connections of one process to the database; a request that finds none "
        "free for ten seconds is answered with 503. 0 means 30 to Postgres and 50 to SQLite.",
    )
    host: str = Field(
        "127.0.0.1", description="Address the web process listens on; any but loopback needs an admin."
    )
    port: int = Field(
        8321, ge=0, le=65535, description="Port the web process listens on; 0 picks a free one."
    )
    base_url: str = Field(
        "",
        description="Public address behind a proxy, with the path below which it serves this "
        "(https://example.org/labels); empty means as asked.",
    )
    secret_key: SecretStr | None = Field(
        None,
        description="Signs cookies and encrypts keys of services; empty means a random key in SETRIGHT_HOME.",
    )
    session_hours: int = Field(168, ge=1, description="Hours after which a login ends.")
    local_access: Literal["link", "open"] = Field(
        "link",
        description="How this machine gets in while nobody has a login: `link` by the link that is printed "
        "at the start and works once; `open` lets in every account and program of this machine.",
    )
    oidc_issuer: str = Field(
        "", description="Address of the OpenID Connect provider for single sign-on; empty means none."
    )
    oidc_client_id: str = Field("", description="By which name the provider knows this installation.")
    oidc_client_secret: SecretStr | None = Field(
        None, description="Secret that the provider has given this installation; empty for a public client."
    )
    oidc_name: str = Field("Single sign-on", description="What the button to sign in with the provider says.")
    oidc_scopes: str = Field("openid profile email", description="What the provider is asked to tell.")
    oidc_name_claim: Literal["preferred_username", "email", "name", "sub"] = Field(
        "preferred_username", description="Which of what the provider tells becomes a person's name here."
    )
    oidc_role: Literal["", "viewer", "annotator", "lead"] = Field(
        "viewer",
        description="Role of people who come by single sign-on for the first time; "
        "empty lets in only those whom an admin has added.",
    )
    admin_password_file: Path | None = Field(
        None,
        description="File with the password of the first admin, who is made by `setright migrate` and "
        "`setright serve` while nobody has a login.",
    )
    admin_name: str = Field("admin", description="Name of that first admin.")
    sign_in_attempts: int = Field(
        10,
        ge=1,
        description="Wrong passwords for a name from an address in 15 minutes after which that has to wait; "
        "ten times as many for a name from anywhere, and for anything from one address.",
    )

    draft_hours: float = Field(
        24, gt=0, description="Hours after which an uploaded file that nobody has confirmed is discarded."
    )
    idempotency_hours: float = Field(
        24,
        gt=0,
        description="Hours for which the API answers a write that is sent again under the same "
        "Idempotency-Key as it answered the first one.",
    )
    max_file_bytes: int = Field(2 * 1024**3, ge=1, description="Largest file that can be imported, in bytes.")
    max_unzipped_bytes: int = Field(
        4 * 1024**3, ge=1, description="Largest unpacked size of a compressed import (Excel, gzip), in bytes."
    )
    max_zip_ratio: int = Field(
        200, ge=1, description="Largest ratio of unpacked to packed size of a compressed import."
    )
    max_columns: int = Field(500, ge=2, description="Most columns of an import.")
    max_line_bytes: int = Field(8 * 1024**2, ge=1024, description="Longest line of an import, in bytes.")
    max_text_chars: int = Field(100_000, ge=1, description="Longest text of an example, in characters.")
    max_classes: int = Field(1000, ge=2, description="Most labels a dataset may have.")
    max_rejected: int = Field(
        100_000, ge=1, description="Unusable rows after which an import is stopped as hopeless."
    )

    embedder: str = Field("use", description="Embedder of a scoring run that names none.")
    folds: int = Field(10, ge=2, description="Folds of the cross-validation.")
    neighbour_rows: int = Field(
        500_000,
        ge=0,
        description="Most rows of a dataset for which similar rows are looked for; 0 never looks for them.",
    )
    exact_neighbour_rows: int = Field(
        200_000,
        ge=0,
        description="Most rows for which every pair is compared; beyond, the extra `ann` finds most.",
    )
    indexed_rows: int = Field(
        10_000,
        ge=0,
        description="Rows of a file that a search finds as soon as they are shown; the words of the others "
        "are indexed after that.",
    )
    late_evidence_rows: int = Field(
        20_000,
        ge=0,
        description="Most rows for which scores and similar rows are shown together; with more, the scores "
        "are shown first.",
    )
    learn_every: int = Field(
        20,
        ge=0,
        description="Decisions after which the rows still open are ranked anew from what was decided; "
        "0 keeps the order of the scoring run.",
    )
    lease_minutes: float = Field(
        5,
        ge=0,
        description="Minutes for which a row that somebody has open is handed to nobody else, renewed while "
        "it is open; 0 hands out rows without leases. While only one person has a login there are none.",
    )
    live_connections: int = Field(
        200,
        ge=0,
        description="Most pages to which one web process sends live counters; the others ask now and then.",
    )
    shard_rows: int = Field(
        10_000, ge=1, description="Rows that a worker embeds at a time: what a crash repeats at most."
    )
    storage: str = Field(
        "",
        description="Folder or fsspec URL (s3://bucket/path) that the workers of all machines share; "
        "empty means SETRIGHT_HOME.",
    )
    dask_scheduler: str = Field(
        "",
        description="Address of a Dask scheduler (tcp://host:8786) whose workers fit and predict the folds; "
        "empty means this machine.",
    )
    threads: int = Field(0, ge=0, description="Threads for embedding; 0 means one per core.")

    openai_api_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("SETRIGHT_OPENAI_API_KEY", "OPENAI_API_KEY"),
        description="Key for the provider `openai`; OPENAI_API_KEY is read too.",
    )
    openai_base_url: str = Field(
        "https://api.openai.com/v1",
        description="Address of the OpenAI-compatible service for fine-tunes and embeddings.",
    )
    outgoing: Literal["", "public", "local", "any"] = Field(
        "",
        description="Where requests to model services may go: `public` addresses only, this machine as well "
        "(`local`), or `any`, one's own network too; empty means `local` where SETRIGHT_HOST is loopback.",
    )
    openai_embedding_concurrency: int = Field(
        4, ge=1, le=64, description="Requests for embeddings under way at once."
    )
    openai_embedding_requests_per_minute: int = Field(
        0, ge=0, description="Most requests for embeddings a minute; 0 means no limit but the service's own."
    )
    openai_embedding_input_tokens: int = Field(
        8192,
        ge=16,
        description="Longest input the service's model takes, in tokens; longer texts are cut and averaged.",
    )
    openai_embedding_price: float = Field(
        0,
        ge=0,
        description="Price of a million tokens of embeddings, for estimates and reports; 0 means unknown.",
    )
    fine_tune_poll_seconds: float = Field(
        20, gt=0, description="Seconds between two questions after a fine-tune."
    )

    provider_keys: dict[str, SecretStr] = Field(
        default_factory=dict,
        description='Keys of services for fine-tunes by the service\'s name, as JSON: {"nebius": "..."}; '
        "one that is said here is never stored.",
    )
    openai_api: bool = Field(
        False,
        description="Whether this server answers OpenAI's API under /v1: files, fine-tuning, models, "
        "embeddings, chat completions.",
    )
    max_waiting_trainings: int = Field(
        20, ge=1, description="Most trainings under /v1 that one person may have waiting or running."
    )

    worker_beat_seconds: float = Field(2, gt=0, description="Seconds between two heartbeats of a worker.")
    worker_stale_seconds: float = Field(
        20, gt=0, description="Seconds without a heartbeat after which a worker counts as gone."
    )
    worker_niceness: int = Field(
        10,
        ge=0,
        le=19,
        description="How much a worker lets pages and other programs of its machine go first: 0 not at all, "
        "19 most; Windows knows no such thing.",
    )
    requests_at_once: int = Field(
        2,
        ge=1,
        description="Requests that a web process works on at once; the others wait in line. More help only "
        "where the database is far away.",
    )
    pause_ms: int = Field(
        10, ge=0, description="Pause between two chunks of bulk work, so that people can write in between."
    )
    log_level: str = Field("INFO", description="Least level that is logged: DEBUG, INFO, WARNING, ERROR.")
    metrics: bool = Field(
        False, description="Give figures for Prometheus at /metrics, to whoever can reach this port."
    )
    otel_endpoint: str = Field(
        "",
        description="Address of an OpenTelemetry collector (http://127.0.0.1:4318) that is told of requests, "
        "statements and jobs; empty tells nobody. Needs the extra `otel`.",
    )
    otel_share: float = Field(
        1.0, ge=0, le=1, description="Share of the requests and jobs that the collector is told of."
    )
    log_json: bool = Field(False, description="Log one JSON object a line instead of plain text.")
    allowed_hosts: Annotated[list[str], NoDecode] = Field(
        default_factory=lambda: ["127.0.0.1", "localhost", "[::1]"],
        description="Host names the web process answers to, separated by commas; "
        "that of SETRIGHT_BASE_URL and this machine's own are always among them.",
    )

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        return (
            [host.strip() for host in value.split(",") if host.strip()] if isinstance(value, str) else value
        )

    @property
    def hosts(self) -> frozenset[str]:
        """Names the web process answers to; a page of another site cannot be asked for by a loopback name."""
        own = urlsplit(self.base_url).hostname
        given = {host.lower().strip("[]") for host in self.allowed_hosts}
        return frozenset({*given, "127.0.0.1", "localhost", "::1", *([own] if own else [])})

    @property
    def below(self) -> str:
        """The path below which a proxy serves this, without a slash at its end."""
        return urlsplit(self.base_url).path.rstrip("/")

    @property
    def reach(self) -> Literal["public", "local", "any"]:
        """Where requests to model services may go."""
        is_local = self.host in {"127.0.0.1", "::1", "localhost"}
        return self.outgoing or ("local" if is_local else "public")

    @property
    def has_oidc(self) -> bool:
        """Whether there is a provider for single sign-on."""
        return bool(self.oidc_issuer and self.oidc_client_id)

    @property
    def url(self) -> str:
        """The database's address, with the driver this project uses."""
        if not self.database_url:
            return f"sqlite:///{self.home / 'setright.db'}"
        for plain in ("postgres://", "postgresql://"):
            if self.database_url.startswith(plain):
                return "postgresql+psycopg://" + self.database_url.removeprefix(plain)
        return self.database_url

    def environment(self) -> dict[str, str]:
        """Return the environment of a child process that is to use this home and database."""
        return {**os.environ, "SETRIGHT_HOME": str(self.home), "SETRIGHT_DATABASE_URL": self.database_url}

    @property
    def shared(self) -> str:
        """Folder or URL that the workers of all machines share."""
        return self.storage or str(self.home)

    @property
    def uploads(self) -> Path:
        """Folder of files waiting to be imported."""
        return self.home / "uploads"

    @property
    def exports(self) -> Path:
        """Folder of finished exports and their manifests."""
        return self.home / "exports"

    @property
    def prices(self) -> Path:
        """The operator's table of fine-tuning prices; where there is none, no price is told."""
        return self.home / "prices.csv"

    @property
    def embeddings(self) -> Path:
        """Folder of cached embeddings."""
        return self.home / "embeddings"

    @property
    def training(self) -> Path:
        """Folder of the files and models of our own server of OpenAI's API."""
        return self.home / "training"
