from contextlib import suppress

from dnsserver.skydns.connection import StoreUnavailable
from dnsserver.skydns.store import Conflict
from tests.faults.writer import Writer


def test_a_write_that_was_given_up_is_not_made_after_a_later_one(own_store, monkeypatch):
    commit, arrears = own_store.commit, []

    def commit_late(**write):
        arrears.append(write)
        monkeypatch.undo()
        raise StoreUnavailable("it lies before a member that stands still")

    monkeypatch.setattr(own_store, "commit", commit_late)
    writer = Writer(own_store)
    writer.put({"live": "192.0.2.1"})
    writer.put({"live": "192.0.2.2"})
    with suppress(Conflict):
        commit(**arrears[0])
    assert b"192.0.2.2" in writer.held("live")
