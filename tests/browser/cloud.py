"""A local cloud whose gateway can be taken away and brought back, and whose worker can be held in mid-job.

By lines on standard input: stop, start; hold, release.

python -m tests.browser.cloud DATA
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from infra.commands.up import Interrupted
from infra.local.cloud import Cloud, CloudOptions


def main() -> None:
    interrupted = Interrupted()
    with Cloud(CloudOptions(port=0, data=Path(sys.argv[1]))) as cloud:
        (worker,) = cloud.workers
        actions = {
            "stop": cloud.stop_gateway,
            "start": cloud.start_gateway,
            "hold": lambda: os.kill(worker.pid, signal.SIGSTOP),
            "release": lambda: os.kill(worker.pid, signal.SIGCONT),
        }

        def obey() -> None:
            for line in sys.stdin:
                actions[line.strip()]()

        threading.Thread(target=obey, daemon=True).start()
        while not interrupted.wait(0.2):
            cloud.check()


if __name__ == "__main__":
    main()
