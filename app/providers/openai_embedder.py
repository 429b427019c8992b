"""Embeddings by any server that speaks OpenAI's API: paid for once, text by text.

A request holds at most 2,048 inputs and 300,000 tokens, and an input at most 8,192. A token is at least one
byte of UTF-8, so counting bytes never breaks a limit, whatever the tokenizer.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime

import numpy as np
import numpy.typing as npt
import openai
from pydantic import SecretStr

from app.errors import Cancelled, Unavailable
from app.providers.addresses import Reach
from app.providers.catalogue import OPENAI, openai_version
from app.providers.embedding import EmbeddedBatch
from app.providers.openai_answers import NO_QUOTA, translated
from app.providers.outward import client_for
from app.providers.weights import readable

MAX_INPUTS = 2_048
MAX_REQUEST_BYTES = 300_000
# No server takes an empty text; this stands for one.
STAND_IN = "."
REPEATED = frozenset({408, 409, 429})
SERVER_ERROR = 500
LONGEST_PAUSE_SECONDS = 30.0
# A server that asks for more patience than this is better asked again by a person.
MOST_PATIENCE_SECONDS = 600.0
# The bytes of UTF-8 that are not the first of a character.
FIRST_BITS, WITHIN = 0b11000000, 0b10000000
FLOAT_MAX = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class OpenAIAccess:
    """How to reach the server.

    Attributes
    ----------
    concurrency : int
        Requests under way at once.
    requests_per_minute : int
        0 = no limit of ours.
    input_bytes : int
        Longest input, in bytes of UTF-8; longer texts are cut and their pieces' vectors averaged.
    tries : int
        How often a request is sent that meets 408, 409, 429, 5xx or a lost connection.
    timeout : float
        Seconds until a request counts as lost.
    reach : Reach
        Where `base_url` may lead.
    """

    api_key: SecretStr | None
    base_url: str
    concurrency: int = 4
    requests_per_minute: int = 0
    input_bytes: int = 8_192
    tries: int = 8
    timeout: float = 60.0
    reach: Reach = Reach.LOCAL


@dataclass(frozen=True)
class Piece:
    """A text, or a part of one; `weight` is its length in bytes."""

    text: int
    content: str
    weight: int


@dataclass
class Pace:
    """Keeps requests apart; a server that asks to wait holds all of them."""

    per_minute: int
    clock: Callable[[], float] = time.monotonic
    _free_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def seconds_to_wait(self) -> float:
        """Take the next place; return how far away it is."""
        with self._lock:
            now = self.clock()
            start = max(now, self._free_at)
            self._free_at = start + (60 / self.per_minute if self.per_minute else 0)
            return start - now

    def hold(self, seconds: float) -> None:
        """Let nobody start for some seconds."""
        with self._lock:
            self._free_at = max(self._free_at, self.clock() + seconds)


@dataclass
class _Sum:
    """What has come of one text."""

    missing: int
    vector: npt.NDArray[np.float64] | None = None


class OpenAIEmbedder:
    """Embed with a model of a service.

    Parameters
    ----------
    model : str
        As the service names it.
    access : OpenAIAccess
    """

    per_text = True
    # The service alone knows.
    dimensions = None

    def __init__(self, model: str, access: OpenAIAccess) -> None:
        self.name = f"{OPENAI}{model}"
        self.version = openai_version(access.base_url)
        self._model = model
        self._access = access
        self._pace = Pace(access.requests_per_minute)

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Embed texts; see `Embedder.embed`.

        Returns
        -------
        float32 array (n_texts, dimensions)
            Rows have length 1; (0, 0) for no texts.

        Raises
        ------
        ProviderRefused
            When the service says no, in its words and with its request id.
        Unavailable
            When there is no key, or the service cannot be reached or asks to wait for too long.
        """
        vectors: npt.NDArray[np.float32] | None = None
        for batch in self.embed_in_batches(texts):
            if vectors is None:
                vectors = np.zeros((len(texts), batch.vectors.shape[1]), dtype=np.float32)
            vectors[batch.rows] = batch.vectors
        return np.zeros((0, 0), dtype=np.float32) if vectors is None else vectors

    def embed_in_batches(self, texts: Sequence[str]) -> Iterator[EmbeddedBatch]:
        """Yield vectors as they arrive; what arrived before a failure is yielded before it is raised."""
        pieces = list(_pieces(texts, self._access.input_bytes))
        sums: dict[int, _Sum] = {}
        for piece in pieces:
            sums.setdefault(piece.text, _Sum(0)).missing += 1
        spent = 0
        for batch, vectors, tokens in self._answers(list(_batches(pieces))):
            spent += tokens
            whole: list[int] = []
            for piece, vector in zip(batch, vectors, strict=True):
                found = sums[piece.text]
                added = vector * (piece.weight / np.linalg.norm(vector))
                found.vector = added if found.vector is None else found.vector + added
                found.missing -= 1
                if not found.missing:
                    whole.append(piece.text)
            if whole:
                yield EmbeddedBatch(whole, _scaled([sums.pop(text) for text in whole]), spent)
                spent = 0

    def _answers(
        self, batches: list[list[Piece]]
    ) -> Iterator[tuple[list[Piece], npt.NDArray[np.float64], int]]:
        if not batches:
            return
        stop = threading.Event()
        pending: dict[Future[tuple[npt.NDArray[np.float64], int]], list[Piece]] = {}
        problem: BaseException | None = None
        todo = iter(batches)
        with self._client() as client, ThreadPoolExecutor(self._access.concurrency) as pool:
            try:
                while True:
                    while problem is None and len(pending) < self._access.concurrency:
                        batch = next(todo, None)
                        if batch is None:
                            break
                        pending[pool.submit(self._send, client, batch, stop)] = batch
                    if not pending:
                        break
                    for future in wait(pending, return_when=FIRST_COMPLETED).done:
                        batch = pending.pop(future)
                        failed = future.exception()
                        if failed is None:
                            yield batch, *future.result()
                        else:
                            problem = problem or failed
                            stop.set()
            finally:
                stop.set()
        if problem is not None:
            raise problem

    def _send(
        self, client: openai.OpenAI, batch: list[Piece], stop: threading.Event
    ) -> tuple[npt.NDArray[np.float64], int]:
        inputs = [piece.content for piece in batch]
        with translated(client.base_url.host, self._key):
            for attempt in range(1, self._access.tries + 1):
                if stop.wait(self._pace.seconds_to_wait()):
                    break
                try:
                    return _read(client.embeddings.create(model=self._model, input=inputs), len(inputs))
                except openai.APIError as problem:
                    pause = pause_before_next(problem, attempt)
                    if pause is None or attempt == self._access.tries:
                        raise
                    self._pace.hold(pause)
        raise Cancelled("Stopped because another request failed.")

    @property
    def _key(self) -> str:
        key = self._access.api_key
        if key is None or not key.get_secret_value():
            raise Unavailable("There is no key for the embedder openai: set SETRIGHT_OPENAI_API_KEY.")
        return key.get_secret_value()

    def _client(self) -> openai.OpenAI:
        access = self._access
        return openai.OpenAI(
            api_key=self._key,
            base_url=access.base_url,
            timeout=access.timeout,
            max_retries=0,
            http_client=client_for(access.reach),
        )


def pause_before_next(problem: openai.APIError, attempt: int) -> float | None:
    """Return the seconds to wait before a request is sent again, None if that would not help.

    The server's own wish (`retry-after-ms`, `retry-after` in seconds or as a date) counts; without one the
    pause doubles with each attempt, from half a second.
    """
    usual = min(LONGEST_PAUSE_SECONDS, 2.0 ** (attempt - 2))
    if isinstance(problem, openai.APIConnectionError):
        return usual
    if not isinstance(problem, openai.APIStatusError) or problem.code == NO_QUOTA:
        return None
    if problem.status_code not in REPEATED and problem.status_code < SERVER_ERROR:
        return None
    wished = _wished_pause(problem)
    pause = usual if wished is None else wished
    return pause if pause <= MOST_PATIENCE_SECONDS else None


def _wished_pause(problem: openai.APIStatusError) -> float | None:
    headers = problem.response.headers
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(str(headers["retry-after-ms"])) / 1000)
        return max(0.0, float(str(headers["retry-after"])))
    except KeyError:
        return None
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(str(headers.get("retry-after"))).timestamp()
    except ValueError:
        return None
    return max(0.0, moment - time.time())


def _pieces(texts: Sequence[str], most: int) -> Iterator[Piece]:
    for row, text in enumerate(texts):
        parts = [part for part in cut(readable(text), most) if part.strip()]
        for part in parts or [STAND_IN]:
            yield Piece(row, part, len(part.encode()))


def cut(text: str, most: int) -> list[str]:
    """Cut a text into parts of at most `most` bytes of UTF-8, at spaces where there are any."""
    rest = text.encode()
    parts = []
    while len(rest) > most:
        at = rest.rfind(b" ", most // 2, most + 1)
        if at < 0:
            at = most
            while rest[at] & FIRST_BITS == WITHIN:
                at -= 1
        parts.append(rest[:at].decode())
        rest = rest[at:]
    return [*parts, rest.decode()]


def _batches(pieces: list[Piece]) -> Iterator[list[Piece]]:
    batch: list[Piece] = []
    size = 0
    for piece in pieces:
        if len(batch) == MAX_INPUTS or (batch and size + piece.weight > MAX_REQUEST_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(piece)
        size += piece.weight
    if batch:
        yield batch


def _read(answer: openai.types.CreateEmbeddingResponse, count: int) -> tuple[npt.NDArray[np.float64], int]:
    if not isinstance(answer.data, list) or sorted(item.index for item in answer.data) != list(range(count)):
        raise TypeError("the answer does not hold one vector an input")
    vectors = np.array(
        [item.embedding for item in sorted(answer.data, key=lambda item: item.index)], dtype=np.float64
    )
    lengths = np.linalg.norm(vectors, axis=1) if vectors.ndim == 2 else np.zeros(1)  # noqa: PLR2004 — a matrix
    if not np.all((lengths > 0) & (lengths < FLOAT_MAX)):
        raise ValueError("the answer holds a vector without a direction")
    usage = getattr(answer, "usage", None)
    return vectors, int(getattr(usage, "total_tokens", 0) or 0)


def _scaled(sums: list[_Sum]) -> npt.NDArray[np.float32]:
    vectors = np.array([found.vector for found in sums])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)
