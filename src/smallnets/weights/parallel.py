"""Reading large files into fresh memory with several threads.

What takes the time is not the disk, whose pages the system has cached, but faulting in the memory that is filled, page
by page. Threads do that side by side, and Linux does it for a whole range at once when asked, which saves a fifth.
"""

import ctypes
import io
import mmap
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

CHUNK = 1 << 24  # bytes a read: 16 MiB, so that the threads share out one large tensor evenly
LARGE = 1 << 20  # bytes from which on preparing the memory pays
READERS = min(4, os.cpu_count() or 1)

POPULATE_WRITE = 23  # Linux's MADV_POPULATE_WRITE; a kernel before 5.14 refuses it, and the pages come one by one

Job = tuple[memoryview, int]  # memory to fill, and from which byte of the file


def jobs(target: memoryview, at: int) -> Iterator[Job]:
    """The reads that fill ``target`` from byte ``at`` on."""
    for begin in range(0, len(target), CHUNK):
        yield target[begin : begin + CHUNK], at + begin


def read_chunk(fd: int, job: Job) -> int:
    """Fill the job's memory; the number of bytes that were there to read."""
    target, at = job
    size = len(target)
    if size >= LARGE:
        populate(target)
    while target:
        count = os.preadv(fd, [target], at)
        if not count:
            break
        target, at = target[count:], at + count
    return size - len(target)


def populate(target: memoryview) -> None:
    """Ask for the memory's pages all at once; those that it shares with its neighbours are left."""
    if sys.platform != "linux":
        return
    start = ctypes.addressof(ctypes.c_char.from_buffer(target))
    first = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
    last = (start + len(target)) // mmap.PAGESIZE * mmap.PAGESIZE
    if last > first:
        ctypes.CDLL(None).madvise(ctypes.c_void_p(first), ctypes.c_size_t(last - first), POPULATE_WRITE)


class ParallelFile(io.RawIOBase):
    """A file to read from, in which one large read is several at once."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self._size = os.fstat(self._file.fileno()).st_size
        self._at = 0
        self._pool = ThreadPoolExecutor(READERS)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = start + offset
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # of anything with a buffer
        target = memoryview(buffer).cast("B")
        read = partial(read_chunk, self._file.fileno())
        work = list(jobs(target, self._at))
        count = sum(self._pool.map(read, work) if len(work) > 1 else map(read, work))
        self._at += count
        return count

    def close(self) -> None:
        self._pool.shutdown()
        self._file.close()
        super().close()
