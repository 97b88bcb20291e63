# Writes PNG files: images.py FOLDER NAME:COUNT... puts COUNT pictures of 16 x 16 into FOLDER/NAME, each another.
# A NAME that ends in "!" gets files that are cut behind their headers. \xNN in a name stands for that byte.
import os
import re
import struct
import sys
import zlib


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(seed, side=16):
    rows = b""
    for y in range(side):
        rows += b"\0" + bytes((seed * 37 + x * (y + channel + 1)) % 256 for x in range(side) for channel in range(3))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def raw(text):
    return re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), os.fsencode(text))


folder = raw(sys.argv[1])
for number, argument in enumerate(sys.argv[2:]):
    name, count = argument.rsplit(":", 1)
    cut = name.endswith("!")
    path = os.path.join(folder, raw(name.rstrip("!")))
    os.makedirs(path, exist_ok=True)
    for index in range(int(count)):
        data = png(number * 1000 + index)
        with open(os.path.join(path, b"%s%04d.png" % (b"cut" if cut else b"", index)), "wb") as file:
            file.write(data[:-40] if cut else data)
