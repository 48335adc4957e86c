"""Where etcd is. Pure."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdAddress:
    """Where etcd is and who we are to it. All endpoints are http, or all are https."""

    endpoints: tuple[str, ...]
    """URLs, as `http://127.0.0.1:2379`."""
    username: str = ""
    password: str = ""
    ca_file: str = ""
    """Empty: the system's roots. Only for https."""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    """The name expected in the server's certificate, where it is not the endpoint's host."""

    def __repr__(self) -> str:
        return f"EtcdAddress({','.join(self.endpoints)})"


def endpoint_fault(url: str) -> str | None:
    """Say what is wrong with an endpoint URL, or None."""
    parts = urlsplit(url)
    if "@" in parts.netloc:  # without the URL: it may hold a password, and this text is logged
        return "expected no user in the URL; there are keys and variables for name and password"
    try:
        if parts.scheme not in ("http", "https"):
            return f"{url!r}: expected http://HOST:PORT or https://HOST:PORT"
        if not parts.hostname or parts.path not in ("", "/") or parts.port == 0:
            return f"{url!r}: expected {parts.scheme}://HOST:PORT and nothing after it"
    except ValueError as error:
        return f"{url!r}: {error}"
    return None
