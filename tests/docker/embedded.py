"""Compares the list of dependencies inside a program (ELF section .dep-v0) with its bill of materials.

    python3 embedded.py PROGRAM SBOM
"""

import json
import struct
import sys
import zlib


def section(program, wanted):
    """Content of a section of a 64-bit little-endian ELF file."""
    table, = struct.unpack_from("<Q", program, 0x28)
    size, count, names = struct.unpack_from("<HHH", program, 0x3A)
    headers = [struct.unpack_from("<IIQQQQ", program, table + n * size) for n in range(count)]
    names_at = headers[names][4]
    for name, _, _, _, offset, length in headers:
        start = names_at + name
        if program[start : program.index(b"\0", start)] == wanted:
            return program[offset : offset + length]
    sys.exit(f"no section {wanted.decode()}")


program = open(sys.argv[1], "rb").read()
embedded = json.loads(zlib.decompress(section(program, b".dep-v0")))["packages"]
embedded = {(package["name"], package["version"]) for package in embedded if package.get("kind") != "build"}
bill = json.load(open(sys.argv[2]))
listed = {(part["name"], part["version"]) for part in [bill["metadata"]["component"], *bill["components"]]}
print(f"{len(embedded)} packages in the program, {len(listed)} in the bill; missing in the program: {listed - embedded}")
sys.exit(not listed or not listed <= embedded)
