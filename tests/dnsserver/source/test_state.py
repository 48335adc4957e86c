"""The table on disk: what was written is read again, and nothing else ever is."""

import asyncio
import logging
import tempfile
from pathlib import Path

import pytest
from hypothesis import given

from dnsserver.skydns.entry import Head
from dnsserver.skydns.key import prefix_of
from dnsserver.source.decoder import Decoder
from dnsserver.source.mirror import SERIAL_LEAP, Mirror
from dnsserver.source.state import FILE, Saved, Saver, load
from dnsserver.zone.table import ZoneTable
from tests.dnsserver.support import NO_ETCD, PREFIX, filled, table_of
from tests.dnsserver.worlds import shape, zones
from tests.dnsserver.zone.test_table import states

HEAD = Head(0xC1, 50)
ZONES = [{"name": "example."}]
VALUES = {"example/a": '{"host":"192.0.2.1"}', "example/b/x": '{"host":"192.0.2.2","targetstrip":1}'}


def save(table: ZoneTable, directory: Path) -> None:
    asyncio.run(Saver(directory, PREFIX, table, lambda: HEAD).save())


def restored(found: list, saved: Saved | None) -> ZoneTable:
    """Return a fresh table of zones, brought to what was saved as a reflector does it."""
    table = table_of(found, etcd=NO_ETCD)
    decoder = Decoder(PREFIX, lambda lease: 0, lambda name: 0)

    async def restore() -> None:
        mirror = Mirror(table)
        await mirror.begin()
        for page in saved.pages():
            await mirror.page(decoder.changes(page.entries), page.revision)
        await mirror.restored(saved.header)
        assert mirror.head == HEAD

    asyncio.run(restore())
    return table


@given(zones(), states)
def test_what_was_written_is_read_again_with_its_serials(found, state):
    table = filled(found, state, 50)
    with tempfile.TemporaryDirectory() as path:
        save(table, Path(path))
        again = restored(found, load(Path(path), PREFIX))
    assert shape(again) == shape(table)
    assert again.synced
    assert [zone.serial for zone in again.zones.values()] == [zone.serial for zone in table.zones.values()]


def ignored(directory: Path, caplog) -> str:
    caplog.clear()
    assert load(directory, PREFIX) is None
    (line,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    return line


@pytest.mark.parametrize("at", [0, 30, 80, -1, -33, -60])
def test_a_damaged_file_is_ignored_with_one_line(tmp_path, caplog, at):
    save(filled(ZONES, VALUES), tmp_path)
    octets = bytearray((tmp_path / FILE).read_bytes())
    octets[at] ^= 1
    (tmp_path / FILE).write_bytes(octets)
    assert f"{tmp_path / FILE} is ignored: it is damaged" in ignored(tmp_path, caplog)


def test_a_file_of_any_other_length_is_ignored(tmp_path, caplog):
    save(filled(ZONES, VALUES), tmp_path)
    octets = (tmp_path / FILE).read_bytes()
    for length in range(len(octets)):
        (tmp_path / FILE).write_bytes(octets[:length])
        assert "is damaged" in ignored(tmp_path, caplog)
    (tmp_path / FILE).write_bytes(octets + b"\0")
    assert "is damaged" in ignored(tmp_path, caplog)


def test_a_file_of_another_version_or_prefix_is_ignored(tmp_path, caplog, monkeypatch):
    save(filled(ZONES, VALUES), tmp_path)
    assert load(tmp_path, prefix_of("/other")) is None
    assert "it is of the prefix /skydns/" in caplog.text
    monkeypatch.setattr("dnsserver.source.saved.MAGIC", b"dnsserver table, version 2\n")
    assert "of another format or version" in ignored(tmp_path, caplog)


def test_a_zone_that_was_not_served_is_not_taken_for_empty(tmp_path):
    save(filled(ZONES, VALUES), tmp_path)
    table = restored([*ZONES, {"name": "new.test."}], load(tmp_path, PREFIX))
    assert [zone.synced for zone in table.zones.values()] == [True, False]


def test_a_serial_never_goes_back_over_a_restart(tmp_path):
    table = filled(ZONES, VALUES, 50)
    save(table, tmp_path)
    (zone,) = table.zones.values()
    changed = [{"name": "example.", "records": [{"name": "static", "type": "A", "data": "192.0.2.9"}]}]
    assert serial(restored(changed, load(tmp_path, PREFIX))) == zone.serial + 1
    zone.serial = 1000  # of a store that was restored since: it is at revision 50 again
    save(table, tmp_path)
    assert serial(restored(ZONES, load(tmp_path, PREFIX))) == 1000 + SERIAL_LEAP


def serial(table: ZoneTable) -> int:
    (zone,) = table.zones.values()
    return zone.serial


async def test_it_is_written_only_when_it_has_changed_and_replaced_as_a_whole(tmp_path):
    table = filled(ZONES, VALUES, 50)
    saver = Saver(tmp_path, PREFIX, table, lambda: HEAD)
    await saver.save()
    inode = (tmp_path / FILE).stat().st_ino
    await saver.save()
    assert (tmp_path / FILE).stat().st_ino == inode
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
    table.zones[next(iter(table.zones))].changed(51)
    await saver.save()
    assert (tmp_path / FILE).stat().st_ino != inode


async def test_a_table_of_a_doubted_store_is_not_written(tmp_path):
    await Saver(tmp_path, PREFIX, filled(ZONES, VALUES), lambda: None).save()
    assert list(tmp_path.iterdir()) == []
