"""A local cloud whose gateway can be taken away and brought back, by lines on standard input: stop, start.

python -m tests.browser.cloud DATA
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from infra.commands.up import Interrupted
from infra.local.cloud import Cloud, CloudOptions


def main() -> None:
    interrupted = Interrupted()
    with Cloud(CloudOptions(port=0, data=Path(sys.argv[1]))) as cloud:
        actions = {"stop": cloud.stop_gateway, "start": cloud.start_gateway}

        def obey() -> None:
            for line in sys.stdin:
                actions[line.strip()]()

        threading.Thread(target=obey, daemon=True).start()
        while not interrupted.wait(0.2):
            cloud.check()


if __name__ == "__main__":
    main()
