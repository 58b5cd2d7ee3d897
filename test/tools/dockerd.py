"""A dockerd for a test that is no Python: commands on standard input, each answered with a line.

    start              -> ok SOCKET
    stop               -> ok
    kill               -> ok             (SIGKILL to dockerd alone; its containers stay)
    build NAME         -> ok             (FROM scratch, the program given as the argument)
    end of input                          takes everything away

    dockerd.py PROGRAM
"""

import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from helpers import docker, tree  # noqa: E402


def main():
    tree.backend = pathlib.Path(sys.argv[1])
    daemon = docker.Daemon(tree.server_folder())
    try:
        for line in sys.stdin:
            command, *rest = line.split()
            if command == "start":
                daemon.start()
                print("ok", daemon.sock, flush=True)
                continue
            if command == "stop":
                daemon.stop()
            elif command == "kill":
                daemon.crash()
            elif command == "build":
                daemon.build(rest[0], [])
            print("ok", flush=True)
    finally:
        daemon.close()


# As at the end of the input, when the test is ended from outside.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
main()
