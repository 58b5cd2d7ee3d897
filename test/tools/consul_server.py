"""A Consul for a test that is no Python: commands on standard input, each answered with a line.

    start              -> ok ADDRESS     (with the data that is there)
    stop | kill        -> ok             (SIGTERM, SIGKILL)
    wipe               -> ok             (forgets all data; stopped before)
    end of input                          takes everything away
"""

import pathlib
import shutil
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

from helpers import consul, tree  # noqa: E402


def main():
    folder = pathlib.Path(tree.server_folder())
    server = consul.Consul(folder, dev=False)
    try:
        for line in sys.stdin:
            command = line.strip()
            if command == "start":
                server.start()
                print("ok", server.address, flush=True)
                continue
            if command == "stop":
                server.process.terminate()
                server.process.wait(30)
            elif command == "kill":
                server.kill()
            elif command == "wipe":
                shutil.rmtree(folder / "consul.d")
            print("ok", flush=True)
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)


# As at the end of the input, when the test is ended from outside.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
main()
