"""The rules, a topic a file; importing this puts them all on the list, in the order in which findings are shown."""

from . import parts, maps, output, samples, gradients, shortcuts, order, numbers, pictures, published  # noqa: F401, I001
