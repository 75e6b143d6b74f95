"""Keeps templates compiled in the cache, because compiling them takes ten times as long as rendering a page."""

from __future__ import annotations

import contextlib
import hashlib
from importlib import metadata
from pathlib import Path

import jinja2
from jinja2.bccache import Bucket

from model_maker.errors import OutputError
from model_maker.system import files


class CompiledTemplates(jinja2.BytecodeCache):
    """Compiled templates by name; Jinja2 compares the hash of their source, and Python's version.

    Args:
      module: the file that makes the environment, whose options affect compiled templates, too.
    """

    def __init__(self, module: str):
        made_by = metadata.version("jinja2").encode() + Path(module).read_bytes()
        self._version = hashlib.sha256(made_by).hexdigest()[:16]

    def load_bytecode(self, bucket: Bucket) -> None:
        """Fills a bucket if the cache has it."""
        if content := files.read_checked(self._path(bucket)):
            bucket.bytecode_from_string(content)

    def dump_bytecode(self, bucket: Bucket) -> None:
        """Writes a bucket to the cache, if it can be written."""
        with contextlib.suppress(OutputError):
            files.write_checked(self._path(bucket), bucket.bytecode_to_string())

    def _path(self, bucket: Bucket) -> Path:
        return files.cache_directory() / "templates" / f"{bucket.key}-{self._version}.bin"
