"""The two pages: how it goes, and the records with where each comes from."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from itertools import islice
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, urlencode

from dnsserver.answer.tally import Tally
from dnsserver.ops.http import Page
from dnsserver.ops.metrics import build_version
from dnsserver.source.provenance import Row, rows
from dnsserver.source.reflector import Reflector
from dnsserver.status.find import PAGE, Finder
from dnsserver.status.markup import HEADERS, Html, code, document, element, joined, number, table
from dnsserver.status.plot import legend, plot
from dnsserver.status.rates import INTERVAL, Rates
from dnsserver.transfer.contents import Contents
from dnsserver.wire import const
from dnsserver.wire.name import Name, NameFault, from_text, to_text
from dnsserver.zone.presentation import data, mnemonic, shown
from dnsserver.zone.table import ZoneTable
from dnsserver.zone.zone import Zone

REFRESH: Final = 5
"""Seconds after which a page that is watched is asked for again."""

REJECTS: Final = 20
"""Keys that are shown of those that are no records."""

MAX_ROWS: Final = 20
"""Records that are shown of one name."""

MAX_DATA: Final = 500
"""Characters that are shown of a record's data."""


class View(NamedTuple):
    """What is shown, as it is at the moment."""

    table: ZoneTable
    reflector: Reflector | None
    """None: there is no etcd."""


class Status:
    """Shows one process. `sample` must run beside it for the rates."""

    def __init__(self, tally: Tally) -> None:
        self._tally, self._rates, self._finder = tally, Rates(), Finder()
        self._started = time.time()

    async def sample(self) -> None:
        """Sample the counters, until it is cancelled."""
        while True:
            self._rates.take(time.monotonic(), _totals(self._tally))
            await asyncio.sleep(INTERVAL)

    async def page(self, view: View, path: str, query: str) -> Page:
        """Return the page of a path, `/` or `/records`."""
        asked = dict(parse_qsl(query, keep_blank_values=True, errors="replace"))
        if path == "/records":
            return await self._records(view, asked)
        return self._overview(view, asked)

    def _overview(self, view: View, asked: Mapping[str, str]) -> Page:
        rates, samples = self._rates.now(), self._rates.samples
        watched = "refresh" in asked
        switch = (
            element("a", "Stop refreshing", href="/")
            if watched
            else element("a", f"Refresh every {REFRESH} s", href="/?refresh")
        )
        body = joined(
            _header("/"),
            element(
                "main",
                _cards(view, sum(rates.values()), time.time() - self._started),
                element("h2", "Responses a second, by rcode"),
                element("figure", plot(samples), legend(rates)),
                element("p", switch, class_="soft"),
                element("h2", "Zones"),
                _zones(view.table, self._tally),
                element("h2", "etcd"),
                _etcd(view),
                element("h2", "Keys in etcd that are no records"),
                _rejects(view.reflector),
            ),
            _footer(self._started),
        )
        return _page(document("dnsserver", body, REFRESH if watched else 0))

    async def _records(self, view: View, asked: Mapping[str, str]) -> Page:
        text, start = asked.get("q", "")[:255].strip(), _whole(asked.get("from", ""))
        zone = _zone(view.table, asked.get("zone", ""))
        found = self._finder.find(view.table, zone, text, start)
        lines: list[list[object]] = []
        for owner in found.names:
            lines += _lines(view.table, owner)
            await asyncio.sleep(0)
        chosen = {"zone": asked.get("zone", "")} if zone else {}
        more = {**chosen, "q": text, "from": found.next}
        words = "Next page" if len(found.names) == PAGE else "Search on"
        onward = (
            element("a", words, href=f"/records?{urlencode(more)}", rel="next") if found.next else "The end."
        )
        body = joined(
            _header("/records"),
            element(
                "main",
                _form(view.table, zone, text),
                table(
                    ["Name", "Type", "TTL", "Data", "Object", "Since", "Source"],
                    lines,
                    "No names here." if found.next else "No such names.",
                    frozenset({"TTL"}),
                ),
                element("p", onward, class_="soft"),
            ),
            _footer(self._started),
        )
        return _page(document("Records – dnsserver", body))


def _page(whole: Html) -> Page:
    return Page(200, whole.encode("utf-8"), "text/html; charset=utf-8", HEADERS)


def _header(here: str) -> Html:
    links = (
        element("a", label, href=path, aria_current="page" if path == here else None)
        for path, label in (("/", "Status"), ("/records", "Records"))
    )
    return element("header", element("h1", f"dnsserver {build_version()}"), element("nav", *links))


def _footer(started: float) -> Html:
    return element("footer", f"Started {_time(started)}; as of {_time(time.time())}. All times are UTC.")


def _cards(view: View, rate: float, uptime: float) -> Html:
    missing = [apex for apex, zone in view.table.zones.items() if not zone.synced]
    ready = ("waiting", "bad") if missing else ("ready", "good")
    cards = [
        ("State", *ready),
        ("Responses/s", f"{rate:,.1f}", ""),
        ("Names", f"{len(view.table.nodes):,}", ""),
        ("Zones", f"{len(view.table.zones):,}", ""),
        ("Up for", _span(uptime), ""),
    ]
    if view.reflector:
        etcd = ("connected", "good") if view.reflector.connected else ("lost", "bad")
        cards.insert(1, ("etcd", *etcd))
    return element(
        "div",
        *(
            element(
                "div", element("span", label, class_="soft"), element("b", text, class_=kind), class_="card"
            )
            for label, text, kind in cards
        ),
        class_="cards",
    )


def _zones(served: ZoneTable, tally: Tally) -> Html:
    sums: Counter[tuple[str, int]] = Counter()
    for slot, count in tally.totals():
        sums[slot.zone, slot.rcode] += count
    shown_rcodes = [const.NOERROR, const.NXDOMAIN, const.SERVFAIL, const.REFUSED]
    lines: list[list[object]] = []
    for apex, zone in [*served.zones.items(), (None, None)]:
        label = to_text(apex) if apex else ""
        counts = [number(sums[label, rcode]) for rcode in shown_rcodes]
        if zone is None:
            lines.append([element("td", "none of ours", class_="soft"), "", "", *counts])
            continue
        link = element("a", label, href=f"/records?{urlencode({'zone': label})}")
        state = f"{zone.serial}" if zone.synced else "waits for etcd"
        lines.append([element("td", element("code", link)), number(state), number(zone.ttl), *counts])
    heads = ["Zone", "Serial", "TTL", *(const.RCODES[rcode] for rcode in shown_rcodes)]
    return table(heads, lines, "No zones.", frozenset(heads[1:]))


def _etcd(view: View) -> Html:
    reflector = view.reflector
    if reflector is None:
        return element(
            "p", "Not configured: only the records of the configuration are served.", class_="empty"
        )
    age = "never" if reflector.age is None else f"{reflector.age:.1f} s ago"
    facts: list[list[object]] = [
        ["Member", code(reflector.endpoint)],
        ["Known to be current", age],
        ["Revision", f"{reflector.revision}"],
        ["Snapshots and watches begun", f"{reflector.lists} and {reflector.watches}"],
        ["Names with a host name beside other data", f"{len(reflector.clashing)}"],
        ["Keys that are no records", f"{len(reflector.rejected)}"],
    ]
    return table(["What", "Value"], facts, "")


def _rejects(reflector: Reflector | None) -> Html:
    # One step: the reflector's thread may add to it at any time.
    rejected = list(reflector.rejected.items()) if reflector else []
    last = rejected[: -REJECTS - 1 : -1]
    lines: list[list[object]] = [[code(shown(key)[:MAX_DATA]), reason] for key, reason in last]
    return table(["Key, the latest first", "Reason"], lines, "None.")


def _form(served: ZoneTable, zone: Zone | None, text: str) -> Html:
    options = [element("option", "all", value="")] + [
        element("option", to_text(apex), value=to_text(apex), selected="" if each is zone else None)
        for apex, each in islice(served.zones.items(), 1000)
    ]
    box = Html('<input name="q" type="search" placeholder="www.k8s.local, or a part of a name" value="')
    return element(
        "form",
        element("label", "Zone", element("select", *options, name="zone")),
        element("label", "Name", joined(box, text, Html('">'))),
        element("button", "Search"),
        action="/records",
        method="get",
    )


def _lines(served: ZoneTable, owner: Name) -> list[list[object]]:
    """Return what is shown of a name: its records, as a transfer has them."""
    node = served.nodes.get(owner)
    if node is None:
        return []
    if node.speakers and not node.records and owner not in node.zone.static:
        # They may be thousands, and are shown at their own names.
        return [
            [
                code(to_text(owner)),
                "",
                "",
                element("td", "data of the names below it", class_="soft"),
                "",
                "",
                "",
            ]
        ]
    rrsets = dict(Contents(served, node.zone)(owner))
    if owner == node.zone.apex:
        rrsets = {const.SOA: node.zone.soa_rrset(), **rrsets}
    found = list(islice(rows(served, owner, rrsets), MAX_ROWS + 1))
    lines = [_line(row) for row in found[:MAX_ROWS]]
    if len(found) > MAX_ROWS:
        lines.append([code(to_text(owner)), "", "", element("td", "… and more", class_="soft"), "", "", ""])
    return lines


def _line(row: Row) -> list[object]:
    source = row.source
    text = data(row.type, row.rdata)
    return [
        code(to_text(row.name)),
        mnemonic(row.type),
        number(row.ttl),
        code(text if len(text) <= MAX_DATA else f"{text[:MAX_DATA]}…"),
        row.object or (element("td", "unknown", class_="soft") if source else ""),
        element("td", _time(source.since) if source.since else "start or before", class_="soft once")
        if source
        else "",
        code(shown(source.key)) if source else element("td", "configuration", class_="soft"),
    ]


def _zone(served: ZoneTable, text: str) -> Zone | None:
    try:
        return served.zones.get(from_text(text)) if text else None
    except NameFault:
        return None


def _totals(tally: Tally) -> Mapping[int, int]:
    sums: Counter[int] = Counter()
    for slot, count in tally.totals():
        sums[slot.rcode] += count
    return sums


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def _time(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at))


def _span(seconds: float) -> str:
    minutes, days = int(seconds) // 60, int(seconds) // 86_400
    if days:
        return f"{days} d {minutes // 60 % 24} h"
    return (
        f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {int(seconds) % 60} s"
    )
