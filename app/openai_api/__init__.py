"""Our own server of OpenAI's API: the same calls, answered by the trainers and embedders of this machine."""

from fastapi import Depends, FastAPI
from starlette.datastructures import State

from app.openai_api import chat, embeddings, errors, files, fine_tuning, models
from app.openai_api.deps import actor, require_open

PREFIX = "/v1"
NOUNS = (files, fine_tuning, models, embeddings, chat)


def create(state: State) -> FastAPI:
    """Build the app that answers under /v1; it shares the state of the one it is mounted in."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    app.state = state
    for noun in NOUNS:
        app.include_router(noun.router, dependencies=[Depends(require_open), Depends(actor)])
    errors.add_handlers(app)
    return app
