"""A coverage-guided fuzz target: any octets to `respond`, over UDP and TCP, on zones of every kind.

    make fuzz                    one minute
    make fuzz SECONDS=3600       an hour

The seeds are the queries of the scenario files. What must hold of every response is what the property
tests check, and that the fast path equals the slow one. A failing input is written to `crash-…` in the
directory .fuzz/, which also keeps what proved interesting: `python -m tests.fuzz.respond .fuzz/crash-…`
runs it again.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["dnsserver"]):
    import dnsserver.answer.respond
    import dnsserver.build

from dnsserver.zone.table import ZoneTable
from tests.dnsserver.answer.test_respond import check, same
from tests.dnsserver.support import responder
from tests.dnsserver.test_scenarios import CASES, DOCUMENTS, TRANSPORTS, table_in_memory

DIRECTORY = Path(".fuzz")


def served() -> list[tuple[str, dnsserver.answer.respond.Responder]]:
    tables: list[ZoneTable] = [table_in_memory(file) for file in DOCUMENTS]
    return [(transport, responder(table, transport)) for table in tables for transport in TRANSPORTS]


def write_seeds(directory: Path) -> None:
    """Write the query of each scenario, with the table it is for in the first octet."""
    files = list(DOCUMENTS)
    for number, parameters in enumerate(CASES):
        (case,) = parameters.values
        table = files.index(case.file) * len(TRANSPORTS) + TRANSPORTS.index(case.transport)
        (directory / f"scenario-{number}").write_bytes(bytes((table,)) + case.query)


def main() -> None:
    responders = served()

    def one(octets: bytes) -> None:
        if not octets:
            return
        transport, found = responders[octets[0] % len(responders)]
        query = octets[1:]
        fast, slow = found.respond(query), found.slow(query)
        check(query, fast, transport)
        assert same(fast, slow), (query, fast, slow)

    DIRECTORY.mkdir(exist_ok=True)
    seeds = DIRECTORY / "seeds"
    seeds.mkdir(exist_ok=True)
    write_seeds(seeds)
    files = [argument for argument in sys.argv[1:] if not argument.startswith("-")]
    corpus = [] if files else [str(DIRECTORY), str(seeds)]
    options = ["-max_len=4096", f"-artifact_prefix={DIRECTORY}/"]
    atheris.Setup([*sys.argv, *options, *corpus], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
