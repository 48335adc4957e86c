"""Corefiles of CoreDNS to zone YAMLs: parsed, then converted plugin by plugin; what stays behind is told."""
