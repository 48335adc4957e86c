"""The end of a generation."""

import asyncio

from dnsserver.answer.tally import Tally
from dnsserver.config import load
from dnsserver.generation import SLICE, Generation
from tests.dnsserver.support import changes, raising


async def test_a_table_is_freed_in_slices_when_no_transfer_reads_it(tmp_path):
    file = tmp_path / "zone.yaml"
    file.write_text("zones: [{name: example., records: [{name: static, type: TXT, data: x}]}]\n")
    generation = await Generation.made(load(file), Tally(), raising)
    names = 10 * SLICE
    generation.table.apply(changes({f"example/n{i}": '{"host":"10.0.0.1"}' for i in range(names)}), 7)
    idle = generation.transfers.transfers.idle
    idle.clear()
    freeing = asyncio.create_task(generation.free())
    await asyncio.sleep(0)
    assert len(generation.table.nodes) > names
    idle.set()
    least, turns = len(generation.table.nodes), 0
    while not freeing.done():
        await asyncio.sleep(0)
        assert len(generation.table.nodes) >= least - SLICE
        least, turns = len(generation.table.nodes), turns + 1
    assert least == 0
    assert turns >= 10
