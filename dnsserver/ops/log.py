"""Logging to standard error, as text or as JSON, one line an event."""

import json
import logging
import sys
import time
from typing import Any, Final, Literal

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["text", "json"]

_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
"""C0, DEL and C1: what a terminal or a reader of lines would obey."""


class _Text(logging.Formatter):
    converter = staticmethod(time.gmtime)
    default_msec_format = "%s.%03dZ"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:
        # Messages carry names and values of others: a line break or an escape in them is shown, not obeyed.
        return super().formatMessage(record).translate(_CONTROLS)

    def formatException(self, ei: Any) -> str:
        # So do exceptions; indented, no line of theirs looks like one of ours.
        lines = super().formatException(ei).splitlines()
        return "\n".join(f"  {line.translate(_CONTROLS)}" for line in lines)


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(level: Level = "info", format: Format = "text", process: str = "") -> None:
    """Send all logging of the process to standard error; of several, `process` stands behind the logger."""
    handler = logging.StreamHandler(sys.stderr)

    def name_process(record: logging.LogRecord) -> bool:
        record.name += process
        return True

    if process:
        handler.addFilter(name_process)
    handler.setFormatter(_Json() if format == "json" else _Text())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for noisy in ("asyncio", "aiohttp.access", "kubernetes", "urllib3"):
        logging.getLogger(noisy).setLevel("WARNING")
