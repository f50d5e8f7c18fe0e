"""Progress for people: a bar on a terminal, nothing elsewhere."""

import sys
from collections.abc import Callable

from tqdm import tqdm


def progress_bar(title: str) -> Callable[[str, int, int], None]:
    """Return what shows a step: what begins, how many are done and how many there are."""
    bar = tqdm(desc=title, disable=not sys.stderr.isatty(), bar_format="{desc} {bar} {n}/{total}")

    def show(what: str, n_done: int, n_steps: int) -> None:
        bar.total = n_steps
        bar.set_description_str(f"{title}: {what:<30}", refresh=False)
        bar.update(n_done + 1 - bar.n)
        bar.refresh()
        if n_done + 1 == n_steps:
            bar.close()

    return show
