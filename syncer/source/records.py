"""Data of the record types beside addresses and aliases, in one canonical form. Pure."""

from typing import Final

from syncer.endpoint import RecordType, address, host_name, target

MAX_TEXT: Final = 8_192
"""Octets of a TXT target: far below what a SkyDNS value may hold."""


def data_of(type_: RecordType, text: str) -> str:
    """Return a target of a type in canonical form.

    Raises:
        ValueError: no data of that type; the text says why.
    """
    match type_:
        case "A" | "AAAA" | "CNAME":
            found = target(text)
            if found.type != type_:
                raise ValueError(f"{text!r} is no target of {type_}")
            return found.text
        case "PTR":
            return _host(text)
        case "MX":
            preference, host = _fields(text, 2, "10 mail.example.org")
            return f"{_number(preference)} {_host(host)}"
        case "SRV":
            priority, weight, port, host = _fields(text, 4, "0 50 443 host.example.org")
            if not int(_number(port)):
                raise ValueError(f"{text!r} has the port 0")
            return f"{_number(priority)} {_number(weight)} {_number(port)} {_host(host)}"
        case "TXT":
            return _text(text)


def _fields(text: str, count: int, example: str) -> list[str]:
    fields = text.split()
    if len(fields) != count:
        raise ValueError(f"{text[:80]!r}: expected {count} fields, as {example!r}")
    return fields


def _number(text: str) -> str:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65_535):
        raise ValueError(f"{text[:40]!r} is no number from 0 to 65535")
    return str(int(text))


def _host(text: str) -> str:
    if address(text):
        raise ValueError(f"{text!r} is an address; expected a host name")
    name = host_name(text)
    if "*" in name:
        raise ValueError(f"{text!r} is no target: a wildcard")
    return name


def _text(text: str) -> str:
    unquoted = text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text
    if not unquoted or len(unquoted.encode("utf-8", "surrogatepass")) > MAX_TEXT:
        raise ValueError(f"a text of {len(unquoted)} characters; expected 1 to {MAX_TEXT}")
    if unquoted.removeprefix('"').startswith("heritage="):
        raise ValueError("a text that begins with heritage= would be taken for a note of ownership")
    try:
        unquoted.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("a text that is no UTF-8") from None
    return unquoted
