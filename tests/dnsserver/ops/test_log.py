"""Log lines hold what others have written; none of it may act as a line, or on a terminal, of its own."""

import io
import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dnsserver.ops import log

FORGED = "x\r\n2026-01-01T00:00:00.000Z ERROR   dnsserver: forged\x1b[2J\x9b2J\x07"


@pytest.fixture(params=[log._Text, log._Json])
def logged(request: pytest.FixtureRequest) -> tuple[logging.Logger, io.StringIO]:
    """A logger of our form, and what it has written."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(request.param())
    logger = logging.Logger("dnsserver.test")
    logger.addHandler(handler)
    return logger, written


def test_a_line_break_or_an_escape_in_a_message_is_shown_and_not_obeyed(logged):
    logger, written = logged
    logger.error("name %s", FORGED)
    line, end = written.getvalue().split("\n")
    assert end == ""
    assert line.isprintable()
    assert "forged" in line


def test_an_exceptions_text_makes_no_line_that_looks_like_one_of_ours(logged):
    logger, written = logged
    try:
        raise ValueError(FORGED)
    except ValueError:
        logger.exception("name %s", FORGED)
    first, *rest, end = written.getvalue().split("\n")
    assert end == ""
    assert first.isprintable()
    assert all(line.startswith("  ") and line.isprintable() for line in rest)
    assert "ValueError" in "".join([first, *rest])


@given(st.text())
def test_any_message_is_one_line_without_controls_as_text_and_as_json(message):
    record = logging.LogRecord("dnsserver", logging.INFO, "", 0, "%s", (message,), None)
    text, line = log._Text().format(record), log._Json().format(record)
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text + line)
    assert json.loads(line)["message"] == message
