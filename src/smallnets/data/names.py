"""Names that come from files: one form for a class, and none that a terminal or a CSV file stumbles over."""

import unicodedata

# Control characters, halves of surrogate pairs (how Python holds bytes that are no UTF-8), line breaks, and what
# turns the direction of writing.
UNSAFE_KINDS = ("Cc", "Cs", "Zl", "Zp")
TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def shown(name: str) -> str:
    r"""A name that any UTF-8 file and any terminal takes: what is unsafe in it is written as an escape.

    >>> print(shown("caf\udce9.png"), shown("a\x1b[31m.png"))
    caf\xe9.png a\x1b[31m.png
    """
    return "".join(escaped(letter) for letter in name)


def escaped(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":  # a byte that the file system's encoding does not know
        return f"\\x{ord(letter) - 0xDC00:02x}"
    unsafe = letter in TURNS or unicodedata.category(letter) in UNSAFE_KINDS
    return letter.encode("unicode_escape", "backslashreplace").decode("ascii") if unsafe else letter


def class_name(name: str) -> str:
    r"""The one form of a class's name: macOS writes an accent as a letter of its own (NFD), others do not (NFC).

    >>> class_name("cafe\u0301") == class_name("caf\u00e9")
    True
    """
    return unicodedata.normalize("NFC", shown(name))


def listed(names: list[str], most: int = 5) -> str:
    """Names in a sentence, the first few of many.

    >>> listed(["a", "b", "c"], most=2)
    'a, b and 1 more'
    """
    text = ", ".join(names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most:,} more"


def counted(count: int, thing: str, things: str = "") -> str:
    """A number with its noun.

    >>> counted(1, "picture"), counted(2000, "picture"), counted(2, "class", "classes")
    ('1 picture', '2,000 pictures', '2 classes')
    """
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"
