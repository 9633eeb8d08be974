"""Rows kept on disk, tile by tile, until it is known which of them stay."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@contextmanager
def spooled(file: IO[bytes]) -> Iterator[Callable[[pd.DataFrame], None]]:
    """A function that puts a table at the end of `file`; all have the columns of the first."""
    import pyarrow as pa

    writers: list[Any] = []

    def put(rows: pd.DataFrame) -> None:
        batch = pa.RecordBatch.from_pandas(rows, preserve_index=False)
        if not writers:
            writers.append(pa.ipc.new_stream(file, batch.schema))
        writers[0].write_batch(batch)

    yield put
    for writer in writers:
        writer.close()


def unspooled(file: IO[bytes], stays: NDArray[np.bool_]) -> Iterator[pd.DataFrame]:
    """The tables put into `file`, each with the rows that stay.

    Parameters
    ----------
    file : as `spooled` filled it
    stays : (n_rows,) of all tables together
    """
    import pyarrow as pa

    if not len(stays):
        return
    file.seek(0)
    start = 0
    with pa.ipc.open_stream(file) as reader:
        for batch in reader:
            here = stays[start : start + batch.num_rows]
            start += batch.num_rows
            yield batch.filter(pa.array(here)).to_pandas()
