"""What drivers keep of the pipelines that they made, in a file for each device and driver: the next run starts sooner.

It is only a cache. A file that is damaged, foreign or cannot be read is none; one that cannot be written is left out.
"""

from __future__ import annotations

import hashlib
import os
import struct
import time
from pathlib import Path
from typing import Any

from nyx import files
from nyx.errors import NyxError

MAGIC = b"nyx pipeline cache 1\n"
MOST = 64 << 20  # bytes of a file that is read
SOON = 10.0  # seconds between two writings while pipelines are being made


def folder() -> Path:
    """pipelines/ in NYX_CACHE_DIR, or in the user's cache folder for programs of this name."""
    import platformdirs

    return Path(os.environ.get("NYX_CACHE_DIR") or platformdirs.user_cache_dir("nyx")) / "pipelines"


class PipelineCache:
    """The cache of a device: read when it is made, written by `keep` where something came to it."""

    def __init__(self, device: Any) -> None:
        self._device, self._info = device, device.info
        info = self._info
        name = f"{info['vendor_id']:04x}-{info['device_id']:04x}-{info['driver_version']:08x}-{info['cache_uuid']}"
        self.path = folder() / name
        found = self._read()
        self._kept = hashlib.sha256(found).digest()
        self._next = time.monotonic() + SOON
        device.take_cache(found)

    def _read(self) -> bytes:
        try:
            with open(files.open_input(self.path), "rb") as file:
                data = file.read(MOST)
        except (NyxError, OSError):
            return b""
        digest, blob = data[len(MAGIC) : len(MAGIC) + 32], data[len(MAGIC) + 32 :]
        whole = data.startswith(MAGIC) and hashlib.sha256(blob).digest() == digest
        return blob if whole and self._is_of_this_device(blob) else b""

    def _is_of_this_device(self, blob: bytes) -> bool:
        """Whether the header is that of this device and driver (VkPipelineCacheHeaderVersionOne)."""
        if len(blob) < 32:
            return False
        size, version, vendor, device = struct.unpack("<4I", blob[:16])
        ours = (self._info["vendor_id"], self._info["device_id"], self._info["cache_uuid"])
        return size >= 32 and version == 1 and (vendor, device, blob[16:32].hex()) == ours

    def keep(self) -> None:
        """Writes the file anew where something came to the cache since it was read or written."""
        try:
            blob = self._device.cache_data()
            digest = hashlib.sha256(blob).digest()
            if len(blob) <= 32 or digest == self._kept or not self._is_of_this_device(blob):
                return
            files.make_folder(self.path.parent)
            files.write_atomic(self.path, MAGIC + digest + blob, durable=False)
            self._kept = digest
        except NyxError:
            pass  # the next run makes its pipelines anew

    def keep_soon(self) -> None:
        """The same, but not too often: a process that is killed leaves most of what it made."""
        if time.monotonic() >= self._next:
            self.keep()
            self._next = time.monotonic() + SOON
