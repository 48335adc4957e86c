"""Make `etcd3` importable on current protobuf.

etcd3 0.12.0 ships generated modules whose descriptor calls the C implementation of protobuf (4 and
later) refuses. Each of them holds its complete serialized FileDescriptorProto, so the message classes
are built from those octets by protobuf's public API, in a pool of our own, and registered under the
names which etcd3 imports. On the way the fields that etcd has had since 3.4 and etcd3 lacks are added.
"""

import ast
import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Final

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal import enum_type_wrapper

_PACKAGE: Final = "etcd3.etcdrpc"
_FILES: Final = ("kv_pb2", "auth_pb2", "rpc_pb2")
"""In the order of their imports."""


def _serialized_descriptor(source: Path) -> bytes:
    found = re.search(r"serialized_pb=_b\(('.*')\)$", source.read_text("utf-8"), re.MULTILINE)
    if found is None:
        raise ImportError(f"{source}: no serialized descriptor; expected etcd3 0.12.0")
    text: str = ast.literal_eval(found[1])
    return text.encode("latin-1")


def _add_fields_of_etcd_3_4(file: descriptor_pb2.FileDescriptorProto) -> None:
    field = descriptor_pb2.FieldDescriptorProto
    messages = {message.name: message for message in file.message_type}
    for message, name, number in (
        ("WatchCreateRequest", "fragment", 8),
        ("WatchResponse", "fragment", 7),
    ):
        if all(known.name != name for known in messages[message].field):
            messages[message].field.add(
                name=name, number=number, type=field.TYPE_BOOL, label=field.LABEL_OPTIONAL
            )


def _register(
    name: str, file: descriptor_pb2.FileDescriptorProto, pool: descriptor_pool.DescriptorPool
) -> None:
    pool.AddSerializedFile(file.SerializeToString())
    descriptor = pool.FindFileByName(file.name)
    module = ModuleType(f"{_PACKAGE}.{name}")
    module.__dict__["DESCRIPTOR"] = descriptor
    for message_name, message in descriptor.message_types_by_name.items():
        module.__dict__[message_name] = message_factory.GetMessageClass(message)
    for enum_name, enum in descriptor.enum_types_by_name.items():
        module.__dict__[enum_name] = enum_type_wrapper.EnumTypeWrapper(enum)
        module.__dict__.update((value.name, value.number) for value in enum.values)
    sys.modules[module.__name__] = module


def install() -> None:
    """Register etcd3's message modules. To be called before the first `import etcd3`; once is enough.

    Raises:
        ImportError: etcd3 is missing, or is not laid out as 0.12.0 is.
    """
    if f"{_PACKAGE}.rpc_pb2" in sys.modules:
        return
    spec = importlib.util.find_spec("etcd3")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("the package etcd3 is not installed")
    root = Path(spec.submodule_search_locations[0], "etcdrpc")
    pool = descriptor_pool.DescriptorPool()
    for name in _FILES:
        file = descriptor_pb2.FileDescriptorProto.FromString(_serialized_descriptor(root / f"{name}.py"))
        if name == "rpc_pb2":
            _add_fields_of_etcd_3_4(file)
        _register(name, file, pool)
