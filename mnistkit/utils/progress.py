"""The one progress bar of the library."""

from __future__ import annotations

import sys

from tqdm import tqdm


def progress_bar(
    total: int, description: str, unit: str, *, done: int = 0, shown: bool = True
) -> tqdm:
    """Return a bar that goes away when done; TQDM_DISABLE=1 in the environment hides it.

    done: how much of the total was there before. It is left out of the estimate of the time
        that is left.

    It writes to standard output, which JupyterLab does not paint as an error.
    """
    # tqdm reads its environment variables only for arguments that are not given.
    hidden = {} if shown else {"disable": True}
    return tqdm(total=total, initial=done, desc=description, unit=unit, leave=False,
                file=sys.stdout, **hidden)  # fmt: skip
