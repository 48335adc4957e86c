"""The end of a generation."""

import asyncio
import gc
import weakref
from functools import partial

from dnsserver.answer.tally import Tally
from dnsserver.config import load
from dnsserver.generation import SLICE, Generation
from dnsserver.skydns.key import Key
from tests.dnsserver.support import changes, raising
from tests.programs import eventually

FOLLOWING = """\
etcd: {{endpoints: ['{etcd}'], prefix: {prefix}}}
zones:
  - name: example.
    records: [{{name: static, type: TXT, data: x}}]
    transfer: {{allow: [{{address: 127.0.0.0/8}}]}}
"""


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


async def test_all_of_it_goes_without_a_garbage_collection(etcd, store, prefix, tmp_path):
    file = tmp_path / "zone.yaml"
    file.write_text(FOLLOWING.format(etcd=etcd.endpoint, prefix=prefix))
    generation = await Generation.made(load(file), Tally(), raising)
    generation.start()
    await generation.synced.wait()
    store.commit(puts={Key(f"{prefix}/example/a".encode()): b'{"host":"192.0.2.1"}'}, deletes=(), expected={})
    table = generation.table
    await asyncio.to_thread(eventually, partial(getattr, table, "records"), 10)  # the watch is under way
    parts = [generation, table, generation.transfers, generation.reflector, generation.reflector._store]
    parts += [generation.responder("udp", "127.0.0.1:53")]
    left = [weakref.ref(part) for part in parts]
    gc.collect()
    gc.disable()  # as what is frozen is never collected
    try:
        await generation.close()
        await generation.free()
        del generation, table, parts
        await asyncio.to_thread(eventually, lambda: not any(part() for part in left), 10)
    finally:
        gc.enable()
