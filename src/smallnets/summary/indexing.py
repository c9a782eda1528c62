"""How positions chosen by number or by mask carry the field."""

from itertools import pairwise
from typing import Any

from .field import Field, axes_in, mix
from .fold import settle
from .propagate import meet
from .tracked import field_of, rule, source_of, unknown
from .views import moved


@rule("index_select")
def index_select(args: Any, kwargs: Any, out: Any) -> Field:
    x, dim, chosen = args
    if field_of(chosen) is not None or not x.dim():
        return unknown(args, kwargs, out)
    return taken(source_of(args), dim % x.dim(), chosen, x.shape[dim])


def taken(source: Field, dim: int, chosen: Any, size: int) -> Field:
    """Positions chosen by number along a dimension; evenly spaced ones, where they are known, are a slice."""
    if source.labels[dim] is None:
        return source
    values = getattr(chosen, "_smallnets_values", None)
    places = None if chosen.is_meta and values is None else [place % size for place in (values or chosen.tolist())]
    steps = {b - a for a, b in pairwise(places)} if places else set[int]()
    if not places or len(steps) > 1 or (steps and min(steps) < 1):
        return mix(source, source.labels, axes_in(source.labels[dim]))
    return moved(source, dim, places[0], steps.pop() if steps else 1, len(places))


@rule("index")
def index(args: Any, kwargs: Any, out: Any) -> Field:
    x, indices = args[:2]
    chosen = [dim for dim, indexed in enumerate(indices) if indexed is not None]
    source = field_of(x)
    if source is None or any(field_of(indices[dim]) is not None for dim in chosen):
        return unknown(args, kwargs, out)
    if len(chosen) == 1 and indices[chosen[0]].dim() == 1:
        return taken(source, chosen[0], indices[chosen[0]], x.shape[chosen[0]])
    seen = mix(source, source.labels, {axis for dim in chosen for axis in axes_in(source.labels[dim])})
    labels = [label for dim, label in enumerate(seen.labels) if dim not in chosen]
    spot = chosen[0] if chosen == list(range(chosen[0], chosen[-1] + 1)) else 0
    rank = max(indices[dim].dim() for dim in chosen)
    return settle(seen._replace(labels=(*labels[:spot], *((None,) * rank), *labels[spot:])))


@rule("index_put", "_index_put_impl", "_unsafe_index_put")
def index_put(args: Any, kwargs: Any, out: Any) -> Field:
    """Values written where a mask, or numbers, say."""
    x, indices, values = args[:3]
    sources = [(x, field)] if (field := field_of(x)) is not None else []
    dim, mixed = 0, set[int]()
    for chosen in indices:
        masks = chosen is not None and not chosen.dtype.is_floating_point and chosen.dtype.itemsize == 1
        width = chosen.dim() if masks and chosen is not None else 1
        seen = field_of(chosen) if chosen is not None else None
        if seen is not None and masks:  # a mask lies over the dimensions from here on
            labels = (None,) * dim + seen.labels + (None,) * (x.dim() - dim - width)
            sources.append((out, seen._replace(labels=labels)))
        elif seen is not None:
            return unknown(args, kwargs, out)
        elif chosen is not None and field_of(values) is not None and sources:
            mixed |= {axis for label in sources[0][1].labels[dim : dim + width] for axis in axes_in(label)}
        dim += width
    written = field_of(values)
    if written is not None:
        if values.dim() != out.dim():
            return unknown(args, kwargs, out)
        sources.append((values, written))
    joined = meet(sources, tuple(out.shape))
    return mix(joined, joined.labels, mixed)
