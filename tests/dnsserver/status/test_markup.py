from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from dnsserver.status.markup import HEADERS, STYLE, Html, document, element, joined


class Reader(HTMLParser):
    """Collects the tags, the attributes and the text of a page."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(), st.text())
def test_any_text_is_text_again_when_it_is_read(text, attribute):
    read = Reader(element("td", text, title=attribute))
    assert read.tags == ["td"]
    assert read.attributes == [("title", attribute)]
    assert read.text == text


def test_only_markup_is_markup():
    assert joined(Html("<b>"), "<b>") == "<b>&lt;b&gt;"


def test_nothing_but_the_pages_own_style_may_load_or_run():
    policy = dict(HEADERS)["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    body = document("t", Html(""))
    assert f"<style>{STYLE}</style>" in body
    assert "url(" not in STYLE
