"""The one progress bar of the library."""

from __future__ import annotations

import sys

from tqdm import tqdm


def progress_bar(total: int, description: str, unit: str, *, shown: bool = True) -> tqdm:
    """Return a bar that goes away when done; TQDM_DISABLE=1 in the environment hides it.

    It writes to standard output, which JupyterLab does not paint as an error.
    """
    # tqdm reads its environment variables only for arguments that are not given.
    hidden = {} if shown else {"disable": True}
    return tqdm(total=total, desc=description, unit=unit, leave=False, file=sys.stdout, **hidden)
