"""What PyTorch and its kin tell by words alone: every decision that is read out of an error's text, and nothing else.

Where they have a type or an attribute for it, that is asked instead, where it is needed. Words change between releases:
what is not recognised goes through as it came.
"""

import re

NO_MEMORY = (
    "DefaultCPUAllocator",
    "an't allocate memory",
    "annot allocate memory",
    "not enough memory",
    "out of memory",
    "bad_alloc",
    "start new thread",
)
TOO_LARGE = ("verflow", "too large to convert")
NO_DATA = ("meta tensor", "meta device", "no data", "numpy", "unallocated storage")
UNLIKE = (
    "stack expects each tensor",
    "default_collate: batch",
    "each element in list of batch",
    "not resizable",  # what a worker makes of pictures of several sizes
)
LOST = ("connection", "gloo", "nccl", "peer", "rendezvous", "timed out")
UNWRITTEN = ("embedded null", "inline_container", "StreamWriter")


def says(error: BaseException, words: tuple[str, ...]) -> bool:
    text = str(error)
    return any(word in text for word in words)


def no_memory(error: BaseException) -> bool:
    """Whether memory, or room for a thread, ran out; PyTorch has a class of its own for a GPU's only.

    That class is known by its name: this file does not import torch.
    """
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or says(error, NO_MEMORY)


def too_large(error: BaseException) -> bool:
    """Whether sizes are beyond what a tensor can have, or what there is memory for."""
    return no_memory(error) or says(error, TOO_LARGE)


def has_no_data(error: BaseException) -> bool:
    """Whether the value of a tensor was asked for that has only a shape."""
    return says(error, NO_DATA)


def unwritten(error: BaseException) -> bool:
    """Whether ``torch.save`` could not write its file."""
    return says(error, UNWRITTEN)


def disk_full(error: BaseException) -> bool:
    """Whether ``torch.save`` says so, where no error of the system stands behind it."""
    return says(error, ("No space left",))


def forbidden_call(error: BaseException) -> str | None:
    """What a pickle would have called that ``torch.load`` refuses to."""
    found = re.search(r"GLOBAL ([\w.]+)", str(error))
    return None if found is None else found[1]


def is_program(error: BaseException) -> bool:
    """Whether ``torch.load`` says that a file is a TorchScript archive."""
    return says(error, ("TorchScript",))


def lost_connection(error: BaseException) -> bool:
    """Whether another process is gone; gloo has no class for it, nccl's is ``DistBackendError``."""
    text = str(error).lower()
    return any(word in text for word in LOST)


def worker_died(error: BaseException) -> bool:
    """Whether a DataLoader's worker was killed."""
    return str(error).startswith("DataLoader worker")


def told_by_worker(error: BaseException, kind: type[BaseException]) -> str | None:
    """What a DataLoader's worker said with an error of a kind: it comes as text behind the worker's traceback."""
    _, reported, text = str(error).rpartition(f"{kind.__name__}: ")
    return text.strip() if reported else None


def unlike_samples(error: BaseException) -> str | None:
    """What torch's collating says of samples that make no batch, in one line."""
    line = next((line for line in str(error).splitlines() if any(sign in line for sign in UNLIKE)), None)
    if line is None:
        return None
    return "pictures of several sizes" if "resizable" in line else line.rpartition("Error: ")[2].strip().rstrip(".")
