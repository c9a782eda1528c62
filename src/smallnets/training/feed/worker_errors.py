"""What goes wrong where samples are read and batches are made, in one sentence."""

import contextlib
from collections.abc import Generator

from ...errors import DataError, first_line, message
from ...wording import told_by_worker, unlike_samples, worker_died


@contextlib.contextmanager
def workers_errors_plain() -> Generator[None, None, None]:
    """What could not be read, or not be made a batch, is said in one sentence, without a worker's traceback.

    Raises:
        DataError: The worker's, or instead of torch's.
    """
    try:
        yield
    except DataError as error:
        own = told_by_worker(error, DataError)
        if own is None:
            raise
        raise DataError(own) from error
    except (RuntimeError, TypeError) as error:
        if (got := unlike_samples(error)) is not None:
            advice = "Bring them to one size, and give each a number as its label."
            raise DataError(message("smallnets", "samples that make a batch", got, advice)) from error
        if not worker_died(error):
            raise
        advice = "Memory may have run out: take fewer workers=, or none."
        got = first_line(error).partition("(")[0].strip() + " that died"
        raise DataError(message("smallnets", "worker processes that read to the end", got, advice)) from error
