"""Many small pieces of work on all of the CPU's threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """``work`` on every part, on as many threads as torch has, on each with torch's own threads at one.

    For tensor calls too short to be shared out. Within such a thread there is one thread to be had: what
    ``work`` itself would put side by side runs one after the other.
    """
    threads = torch.get_num_threads()
    workers = min(threads, len(parts))
    if workers <= 1:
        return [work(part) for part in parts]
    # tensors made in inference mode may be written to in that mode only, and each thread has its own
    inference = torch.is_inference_mode_enabled()

    def work_alike(part: Part) -> Result:
        with torch.inference_mode(inference):
            return work(part)

    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(work_alike, parts))
    finally:
        # some of torch's libraries have one number of threads for the whole process
        torch.set_num_threads(threads)
