"""What the configuration keeps in files of their own, because others must not see it."""

import base64
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Any, Final

from dnsserver.config.document import Fault
from dnsserver.config.files import Files
from dnsserver.config.models import Config, Etcd
from dnsserver.wire import name
from dnsserver.wire.name import Name, NameFault

_ETCD_FILES: Final = ("password_file", "ca_file", "cert_file", "key_file")


def etcd_password(etcd: Etcd, files: Files) -> tuple[str, list[Fault]]:
    """Return the password of etcd, and what of the files that etcd's connection needs cannot be read."""
    password, faults = "", []
    for key in _ETCD_FILES:
        path = getattr(etcd, key)
        if not path:
            continue
        try:
            text = files.read(FilePath(path)).decode()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8"
            faults.append(Fault(("etcd", key), f"{path} cannot be read: {reason}"))
            continue
        if key == "password_file":
            password = text.rstrip("\r\n")
    return password, faults


def tsig_secrets(data: dict[str, Any], files: Files) -> tuple[dict[int, bytes], list[Fault]]:
    """Return the secrets of the TSIG keys, by their place in the list. No fault shows one."""
    keys, faults = data.get("tsig"), []
    secrets: dict[int, bytes] = {}
    seen: set[Name] = set()
    for index, key in enumerate(keys if isinstance(keys, list) else ()):
        path = ("tsig", index)
        name_ = key_name(key.get("name")) if isinstance(key, dict) else None
        if name_ in seen:
            faults.append(Fault((*path, "name"), f"{key['name']}: a second key of this name"))
        if name_:
            seen.add(name_)
        file = key.get("secret_file") if isinstance(key, dict) else None
        if not isinstance(file, str) or not file:
            continue
        try:
            secrets[index] = base64.b64decode(files.read(files.directory / file).strip(), validate=True)
            if not secrets[index]:
                raise ValueError
        except OSError as error:
            reason = f"{files.directory / file} cannot be read: {error.strerror}"
            faults.append(Fault((*path, "secret_file"), reason))
        except ValueError:
            faults.append(
                Fault((*path, "secret_file"), f"{files.directory / file}: expected base64 and nothing else")
            )
    return secrets, faults


def key_name(text: Any) -> Name | None:
    try:
        return name.from_text(text) if isinstance(text, str) else None
    except NameFault:
        return None


def cookie_secrets(
    path: FilePath, read: Callable[[FilePath], bytes] = FilePath.read_bytes
) -> tuple[bytes, ...]:
    """Return the secrets in a file.

    Raises:
        ValueError: it cannot be read, or holds something else; the text does not show it.
    """
    expected = f"{path}: expected one or two lines of 32 hexadecimal digits"
    try:
        lines = read(path).decode("ascii").split()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(expected) from None
    if len(lines) not in (1, 2) or any(len(line) != 32 for line in lines):
        raise ValueError(expected)
    try:
        return tuple(bytes.fromhex(line) for line in lines)
    except ValueError:
        raise ValueError(expected) from None


def cookie_faults(data: dict[str, Any], files: Files, config: Config | None) -> list[Fault]:
    """Read the secrets of cookies into the configuration. No fault shows one."""
    cookies = data.get("cookies")
    file = cookies.get("secret_file") if isinstance(cookies, dict) else None
    if not isinstance(file, str) or not file:
        return []
    try:
        secrets = cookie_secrets(files.directory / file, files.read)
    except ValueError as error:
        return [Fault(("cookies", "secret_file"), str(error))]
    if config and config.cookies:
        config.cookies._path, config.cookies._secrets = files.directory / file, secrets
    return []
