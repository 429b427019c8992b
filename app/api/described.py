"""Fields described by the text below them, for the API's documentation.

pydantic's `use_attribute_docstrings` does the same, but looks for each class's source through the stack of
frames and all loaded modules: that took longer than all else at the start of a web process.
"""

import ast
import inspect
import sys
from functools import cache
from itertools import pairwise
from typing import Annotated, Any

from pydantic import BaseModel, Field


class Described(BaseModel):
    """A model whose fields are described by the strings below them."""

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        own = inspect.get_annotations(cls)
        below = _of_module(cls.__module__).get(cls.__qualname__, {}) if own else {}
        cls.__annotations__ = own | {
            name: Annotated[own[name], Field(description=text)] for name, text in below.items()
        }


@cache
def _of_module(name: str) -> dict[str, dict[str, str]]:
    """Return what stands below the fields of a module's classes."""
    try:
        source = inspect.getsource(sys.modules[name])
    except OSError:  # installed without sources: the documentation says less
        return {}
    return {node.name: _of_class(node) for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}


def _of_class(node: ast.ClassDef) -> dict[str, str]:
    found = {}
    for field, below in pairwise(node.body):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        match below:
            case ast.Expr(value=ast.Constant(value=str(text))):
                found[field.target.id] = inspect.cleandoc(text)
    return found
