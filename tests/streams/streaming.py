"""Streams in a process of their own, for tests that kill it: `python -m tests.streams.streaming HOME STREAM-AS-JSON`.

Prints "port N" once a syslog stream listens, "reading" once the streams were begun, "closed" when it ended by itself.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from tests.streams.helpers import inbox_at, settings_of


def main() -> None:
    """Run until SIGTERM."""
    from aegis_agents.streams.runner import Runner

    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    inbox = inbox_at(Path(sys.argv[1]))
    runner = Runner([settings_of(**json.loads(sys.argv[2]))], inbox)
    stream: Any = runner._streams[0][1]

    def say_port() -> None:
        while not stream.port:
            time.sleep(0.005)
        print(f"port {stream.port}", flush=True)

    if hasattr(stream, "port"):
        threading.Thread(target=say_port, daemon=True).start()
    print("reading", flush=True)
    runner.run(stop)
    inbox.close()
    print("closed", flush=True)


if __name__ == "__main__":
    main()
