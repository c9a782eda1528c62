"""The errors: what each means, and which calls say that they raise it."""

import inspect
import re

import smallnets as sn
from smallnets import data, errors, shapes

HEAD = """\
# Errors

Made from the library by `docs/write_reference.py`. Every error that the library raises on purpose is a
`SmallnetsError`, and its text is one sentence: who expected what, what was given, and what to do.

```python
import smallnets as sn

try:
    sn.resnet18(stem="cifer")
except sn.OptionError as error:
    print(error)
```

```text
{0}
```

Most are Python's own `ValueError`, too, so code that catches that goes on working. On the command line an error is one
line on stderr and exit code 2; `--debug` shows the traceback. What PyTorch refuses in the middle of a net is explained
by a `ShapeError` that names the layer.
"""


def shown() -> str:
    try:
        sn.resnet18(stem="cifer")  # type: ignore[arg-type]
    except sn.OptionError as error:
        return str(error)
    raise AssertionError("resnet18 took a stem that it does not have")


def raised() -> dict[str, list[str]]:
    """Names of errors, and the public functions whose docstrings say that they raise them."""
    found: dict[str, list[str]] = {}
    modules = {"": sn, "data.": data, "shapes.": shapes}
    for prefix, module in modules.items():
        for name in dir(module):
            made = getattr(module, name)
            if name.startswith("_") or not inspect.isfunction(made):
                continue
            _, _, told = (inspect.getdoc(made) or "").partition("Raises:\n")
            for error in re.findall(r"^    (\w+):", told.partition("\n\n")[0], flags=re.MULTILINE):
                found.setdefault(error, []).append(f"smallnets.{prefix}{name}")
    return found


def page() -> str:
    text, calls = HEAD.format(shown()), raised()
    names = [name for name in dir(sn) if isinstance(made := getattr(sn, name), type) and issubclass(made, Exception)]
    for name in sorted(names, key=lambda name: (name != "SmallnetsError", name)):
        text += f"\n## {name}\n\n```{{eval-rst}}\n.. autoexception:: smallnets.{name}\n   :show-inheritance:\n```\n"
        if name in calls:
            text += "\nRaised by " + ", ".join(f"{{py:obj}}`~{call}`" for call in calls[name]) + ".\n"
    assert all(issubclass(getattr(sn, name), errors.SmallnetsError) for name in names)
    return text
