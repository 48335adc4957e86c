"""The zone YAML: read strictly, checked whole, every fault told at once with file, line and remedy."""

from dnsserver.config.load import ConfigError, load
from dnsserver.config.models import Config
from dnsserver.config.source import Override

__all__ = ["Config", "ConfigError", "Override", "load"]
