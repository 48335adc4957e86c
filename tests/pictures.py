"""`python -m tests.pictures [DIRECTORY]`: pictures of the status page of a real run, for docs/images.

It runs what `make run` runs, on ports of its own, asks for a minute what clients ask, and needs `chromium`.
"""

import re
import sys
import time
from pathlib import Path

from tests.browser import picture
from tests.programs import Program, Resolver
from tools.embedded_etcd import free_port

SECONDS = 60
QUESTIONS = (
    *(("stilton.k8s.local", "A"), ("nginx.k8s.local", "A"), ("wensleydale.k8s.local", "AAAA")),
    *(("nothing.k8s.local", "A"), ("www.example.org", "A")),
)


def main() -> int:
    directory = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images")
    directory.mkdir(parents=True, exist_ok=True)
    resolver = Resolver(free_port())
    with Program("tools.run", environment={"PORT": str(resolver.port)}) as program:
        program.wait_for("status page")
        found = re.search(r"status page (http://\S+)", program.log())
        assert found
        url = found[1].rstrip("/")
        began = time.monotonic()
        while (past := time.monotonic() - began) < SECONDS:
            # Half a minute of few clients, a burst, and few again.
            for name, kind in QUESTIONS[: 3 + int(past) % 3]:
                resolver.ask(name, kind)
            time.sleep(0.002 if 25 < past < 45 else 0.01)
        picture(url, directory / "status.png", height=1230)
        picture(url, directory / "status-dark.png", height=1230, dark=True)
        picture(f"{url}/records?zone=k8s.local.&q=e", directory / "records.png", height=620)
    print(f"{directory}: status.png, status-dark.png, records.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
