"""A subset of Go's text/template, for making names of objects: parsed once, carried out per object. Pure.

What it does not know is an error where it is parsed, with its place. A field that an object does not have
is empty: raw objects leave out their empty fields, so it cannot be told from one that no object has.
"""

from syncer.source.template.evaluate import execute
from syncer.source.template.names import NameTemplate
from syncer.source.template.parse import TemplateError, parse

__all__ = ["NameTemplate", "TemplateError", "execute", "parse"]
