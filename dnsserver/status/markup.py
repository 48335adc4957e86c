"""HTML in which nothing of others is taken for markup: a string is escaped unless it is Html. Pure."""

import base64
import hashlib
import html
from typing import Final


class Html(str):
    """Markup. Any other string is text."""

    __slots__ = ()


def element(tag: str, *children: object, **attributes: object) -> Html:
    """Return an element. `_` in an attribute's name is `-`, at its end nothing; None leaves it out."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{html.escape(str(value))}"'
        for name, value in attributes.items()
        if value is not None
    )
    return Html(f"<{tag}{written}>{joined(*children)}</{tag}>")


def joined(*children: object) -> Html:
    """Return children one after the other, escaped where they are text."""
    return Html("".join(each if isinstance(each, Html) else html.escape(str(each)) for each in children))


def table(
    heads: list[str], rows: list[list[object]], empty: str, numbers: frozenset[str] = frozenset()
) -> Html:
    """Return a table; without rows, a sentence. `numbers` are the heads of columns of numbers."""
    if not rows:
        return element("p", empty, class_="empty")
    head = element(
        "tr",
        *(element("th", each, scope="col", class_="number" if each in numbers else None) for each in heads),
    )
    body = (element("tr", *(each if _is_cell(each) else element("td", each) for each in row)) for row in rows)
    return element(
        "div",
        element("table", element("thead", head), element("tbody", *body)),
        class_="scroll",
        tabindex="0",
        role="region",
        aria_label=heads[0],
    )


def _is_cell(child: object) -> bool:
    return isinstance(child, Html) and child.startswith("<td")


def number(value: object) -> Html:
    """Return a cell with a number in it."""
    text = f"{value:,}".replace(",", "\u2009") if isinstance(value, int) else str(value)
    return element("td", text, class_="number")


def code(text: str) -> Html:
    return element("td", element("code", text))


STYLE: Final = """
:root{color-scheme:light dark;--back:#fbfbfa;--card:#fff;--text:#1d2327;--soft:#5c6670;--line:#e2e5e7;
--link:#0b62a8;--good:#1a7f4b;--bad:#b3261e;--noerror:#2a8f83;--nxdomain:#d69a1f;--servfail:#c8453c;
--refused:#7a5bb5;--other:#8a949c}
@media(prefers-color-scheme:dark){:root{--back:#14181b;--card:#1c2125;--text:#e6e9eb;--soft:#9aa5ad;
--line:#2f363b;--link:#6cb6f5;--good:#5cc88f;--bad:#ff8a80;--noerror:#4db6a8;--nxdomain:#e3b34d;
--servfail:#ec7a70;--refused:#a88be0;--other:#7d8890}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif}
main,header{max-width:84rem;margin:0 auto;padding:0 1.25rem}
header{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;align-items:baseline;padding-top:1.5rem}
h1{font-size:1.25rem;margin:0}h2{font-size:1rem;margin:2rem 0 .5rem}
nav{display:flex;gap:1rem;margin-left:auto}a{color:var(--link)}nav [aria-current]{color:var(--text);
text-decoration:none;font-weight:600}
.soft,.empty,figcaption{color:var(--soft)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(10rem,1fr));gap:.75rem;margin:1rem 0}
.card,.scroll,figure,form{background:var(--card);border:1px solid var(--line);border-radius:.5rem}
.card{padding:.75rem 1rem}.card b{display:block;font-size:1.5rem;font-weight:600;line-height:1.25;
font-variant-numeric:tabular-nums}
.good{color:var(--good)}.bad{color:var(--bad)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.4rem .75rem;border-bottom:1px solid var(--line);vertical-align:top}
tr:last-child td{border-bottom:0}th{font-weight:600;color:var(--soft);white-space:nowrap}
.number{text-align:right}td.number{font-variant-numeric:tabular-nums;white-space:nowrap}
td:first-child code,.once{white-space:nowrap}
code{font:13px/1.5 ui-monospace,SFMono-Regular,Menlo,"DejaVu Sans Mono",monospace;overflow-wrap:anywhere}
figure{margin:0;padding:1rem}svg{display:block;width:100%;height:auto}
svg text{fill:var(--soft);font:11px system-ui,sans-serif}svg .grid{stroke:var(--line)}
.noerror{fill:var(--noerror)}.nxdomain{fill:var(--nxdomain)}.servfail{fill:var(--servfail)}
.refused{fill:var(--refused)}.other{fill:var(--other)}
figcaption ul{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;list-style:none;margin:.75rem 0 0;padding:0}
figcaption svg{display:inline-block;width:.75rem;height:.75rem;margin-right:.35rem}
form{display:flex;flex-wrap:wrap;gap:.75rem;align-items:end;padding:1rem;margin:1rem 0}
label{display:grid;gap:.25rem;color:var(--soft);font-size:.85rem}
input,select,button{font:inherit;padding:.35rem .6rem;border:1px solid var(--line);border-radius:.35rem;
background:var(--back);color:var(--text)}input{width:22rem;max-width:100%}
button{background:var(--link);color:var(--card);border-color:var(--link);cursor:pointer}
footer{max-width:84rem;margin:2rem auto;padding:0 1.25rem;color:var(--soft);font-size:.85rem}
:focus-visible{outline:2px solid var(--link);outline-offset:1px}
"""

_HASH: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

HEADERS: Final = (
    (
        "Content-Security-Policy",
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
)
"""No script, no asset of anybody, no frame: what is shown can do nothing even where escaping failed."""


def document(title: str, body: Html, refresh: int = 0) -> Html:
    """Return a whole page; `refresh` is after how many seconds the browser asks again, 0: never."""
    head = joined(
        Html('<meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">'),
        Html(f'<meta http-equiv="refresh" content="{refresh}">' if refresh else ""),
        element("title", title),
        element("style", Html(STYLE)),
    )
    return Html(f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>\n')
