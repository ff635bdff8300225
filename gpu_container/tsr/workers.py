"""Many small pieces of work on all of the CPU's threads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")


class Workers:
    """As many threads as torch has, on each of which torch's own number of threads is one.

    For tensor calls too short to be shared out: where other programs run too, torch's threads can wait for
    each other for longer than one would take alone. Within workers, on this thread as on theirs, torch has one
    thread, and what work itself would put side by side runs one after the other.

        with Workers() as workers:
            results = workers.map(work, parts)
    """

    def __init__(self, threads: int | None = None) -> None:
        """With one thread everything happens on this one."""
        self._torch_threads = torch.get_num_threads()
        self.threads = threads or self._torch_threads
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Workers:
        if self.threads > 1:
            self._pool = ThreadPoolExecutor(self.threads, initializer=torch.set_num_threads, initargs=(1,))
            torch.set_num_threads(1)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            # of some of torch's libraries the threads just ended have set it for the whole process
            torch.set_num_threads(self._torch_threads)

    def map(self, work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
        """``work`` on every part."""
        if self._pool is None:
            return [work(part) for part in parts]
        # tensors made in inference mode may be written to in that mode only, and each thread has its own
        inference = torch.is_inference_mode_enabled()

        def work_alike(part: Part) -> Result:
            with torch.inference_mode(inference):
                return work(part)

        return list(self._pool.map(work_alike, parts))
