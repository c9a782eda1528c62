"""Signatures as a user reads them: short names, choices spelled out, long unions by the name they have here.

An annotation may name a class where it was made, ``smallnets.training.history.History``; its page has the public name.
What a signature says of a class that is not public is an error of the build: nobody could look it up.
"""

import inspect
import re
import typing
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

import pandas
from docutils import nodes
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.inspect import stringify_signature

import smallnets
import smallnets.data
from smallnets.data.pictures import Source
from smallnets.explaining.explain import Picture
from smallnets.models.vgg import Head
from smallnets.models.vgg_config import VGGConfig
from smallnets.summary.inputs import InputSize
from smallnets.training.feed.samples import DataLike
from smallnets.training.records import Row
from smallnets.weights import WeightsLike

# What docs/reference/api/types.md explains, larger unions first: a larger one may hold a smaller one.
NAMED: dict[str, Any] = {
    "DataLike": DataLike,
    "WeightsLike": WeightsLike,
    "InputSize": InputSize,
    "VGGConfig": VGGConfig,
    "Head": Head,
    "Picture": Picture,
    "Source": Source,
    "Row": Row,
}


# What stands in quotes because it is not imported to run.
IN_QUOTES = {"Figure": Figure, "Axes": Axes, "pd": pandas, "Net": smallnets.Net, "FitOptions": smallnets.FitOptions}
# Classes that a user makes; of all others a function gives one, and how it is put together is nobody's business.
MADE = ("VGGHead", "FitOptions", "DataFacts", "ImageSet")
# Methods that the library's other rooms call.
INTERNAL = {
    *("describe", "input_rule", "head_rule", "is_natural", "is_natural_map", "is_as_built", "layer_at", "last_layer"),
    *("stage_layers", "staged", "recomputed", "batch", "part", "header", "rows", "csv_text", "white"),
}


def public_names() -> dict[str, str]:
    """Public names by where their objects were made."""
    found: dict[str, str] = {}
    for module in (smallnets, smallnets.data, smallnets.shapes):
        for name in dir(module):
            made = getattr(module, name)
            if not name.startswith("_") and (inspect.isfunction(made) or inspect.isclass(made)):
                found.setdefault(f"{made.__module__}.{made.__qualname__}", f"{module.__name__}.{name}")
    bare = {name.rpartition(".")[2]: name for name in found.values()}  # as docstrings name errors
    kin = {"smallnets.summary.table.Table": "smallnets.Summary", "smallnets.training.records.Row": "smallnets.Row"}
    return {**bare, **found, **kin}


def parts(annotation: Any) -> tuple[Any, ...]:
    """What a union is made of, or the annotation alone."""
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def named(name: str) -> type:
    """A class whose only use is to be written as this name."""
    return type(name, (), {"__module__": "smallnets"})


def short(annotation: Any) -> Any:
    """The annotation with every long union in it by its name."""
    if isinstance(annotation, typing.TypeVar):
        return short(annotation.__bound__)
    if isinstance(annotation, list):  # the arguments of a Callable
        return [short(each) for each in annotation]
    left = list(parts(annotation))
    found: list[Any] = []
    for name, union in NAMED.items():
        whole = parts(union)
        if all(part in left for part in whole):
            left = [part for part in left if part not in whole]
            found.append(named(name))
    if found or len(left) > 1:
        inner = [short(part) for part in left if part is not NoneType]
        return Union[(*found, *inner, *([NoneType] if NoneType in left else []))]
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is typing.Literal or not inside or origin is None:
        return annotation
    if hasattr(annotation, "__metadata__"):  # Annotated: a constraint is the library's own note
        return short(inside[0])
    if origin.__module__.startswith("numpy"):
        return origin
    return origin[tuple(short(each) for each in inside)] if len(inside) > 1 else origin[short(inside[0])]


def signature_of(made: Callable[..., Any]) -> inspect.Signature:
    """The signature with types in place of their names in quotes."""
    signature = inspect.signature(made)
    target = made.__init__ if inspect.isclass(made) else made
    kinds = [signature.return_annotation, *(each.annotation for each in signature.parameters.values())]
    in_quotes = any(isinstance(kind, str) for kind in kinds)
    hints = typing.get_type_hints(inspect.unwrap(target), localns=IN_QUOTES) if in_quotes else {}
    parameters = [
        each.replace(annotation=short(hints.get(each.name, each.annotation)))
        for each in signature.parameters.values()
        if not (each.kind is each.VAR_KEYWORD and not each.name.strip("_"))
    ]
    return signature.replace(
        parameters=parameters, return_annotation=short(hints.get("return", signature.return_annotation))
    )


def write(
    app: Sphinx, what: str, name: str, made: Any, options: Any, text: str | None, returned: str | None
) -> tuple[str, str | None] | None:
    if what in ("class", "exception") and made.__name__ not in MADE:
        return ("", None) if text else None
    if what not in ("function", "method", "class") or not callable(made) or not text:
        return None
    signature = signature_of(made)
    first = next(iter(signature.parameters), None)
    if what == "method" and first in ("self", "cls"):
        signature = signature.replace(parameters=list(signature.parameters.values())[1:])
    if what == "class":
        signature = signature.replace(return_annotation=signature.empty)
    arguments, arrow, back = stringify_signature(signature, unqualified_typehints=True).partition(" -> ")
    return arguments, back if arrow else None


def skip(app: Sphinx, what: str, name: str, made: Any, skipped: bool, options: Any) -> bool | None:
    return True if what == "class" and name in INTERNAL else None


PUBLIC = public_names()


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement) -> nodes.Element | None:
    """A link to the public name of what was named by the place where it was made."""
    target = PUBLIC.get(node.get("reftarget", ""))
    if node.get("refdomain") != "py" or target is None or target == node["reftarget"]:
        return None
    domain = env.get_domain("py")
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, text)


BACK = re.compile(r'<a class="viewcode-back" href="[^"#]*#([^"]+)">.*?</a>\n?')


def only_what_is_there(app: Sphinx, page: str, template: str, context: dict[str, Any], tree: object) -> None:
    """Leave out a listing's links to the docs of what they call by another name."""
    if page.startswith("_modules/"):
        known = app.env.get_domain("py").data["objects"]
        context["body"] = BACK.sub(lambda link: link[0] if link[1] in known else "", context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-signature", write)
    app.connect("autodoc-skip-member", skip)
    app.connect("html-page-context", only_what_is_there)
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
