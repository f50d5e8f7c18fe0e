"""A worker gives back what large requests took."""

import platform
import subprocess
import sys

import pytest

# Ten million bytes in small blocks, freed again but for the newest, as an interpreter's arenas are.
TAKE_AND_FREE = """
import resource, sys
from pathlib import Path
from app.server import memory
if sys.argv[1] == "small":
    memory.keep_small()
import ctypes
malloc, free = ctypes.CDLL(None).malloc, ctypes.CDLL(None).free
malloc.restype, free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
free(malloc(30_000_000))  # by default one such block moves the limit up for good
blocks = [malloc(100_000) for _ in range(500)]
for block in blocks:
    ctypes.memset(block, 1, 100_000)
for block in blocks:
    free(block)
print(int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize())
"""


def resident(mode: str) -> int:
    command = [sys.executable, "-c", TAKE_AND_FREE, mode]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the switches are those of glibc")
def test_what_a_large_request_took_is_given_back():
    assert resident("small") < resident("default") - 10_000_000
