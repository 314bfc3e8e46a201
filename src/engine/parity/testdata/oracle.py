"""Sidecar of one object written from docs/formats/parity.md alone, sharing no code with the engine.

python3 oracle.py SIZE PERCENT SIZE_MAX prints the SHA-256 of the sidecar of the object 'containers/ab/00000000000000ab.hfc' whose byte i is
((i * i) >> 5) ^ (i * 7) modulo 256. The figures in oracle.test.ts come from it. Arithmetic bit by bit, inverses by search, no tables.
"""
import hashlib
import math
import struct
import sys
import zlib

BLOCK = 4096
NAME = b'containers/ab/00000000000000ab.hfc'


def product(a, b):
    result = 0
    while b:
        if b & 1:
            result ^= a
        a <<= 1
        if a & 0x100:
            a ^= 0x11D
        b >>= 1
    return result


INVERSE = {a: next(b for b in range(1, 256) if product(a, b) == 1) for a in range(1, 256)}


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def scaled(factor, block):
    return block.translate(bytes(product(factor, value) for value in range(256)))


def added(a, b):
    return (int.from_bytes(a, 'big') ^ int.from_bytes(b, 'big')).to_bytes(BLOCK, 'big')


def needed(blocks, groups, percent):
    return math.ceil((blocks * percent / 100 + 1) / groups)


def geometry(blocks, percent, blocks_max):
    start = 1
    while start * 128 < blocks_max:
        start *= 2
    rows = min(128, (32 << 20) // (start * BLOCK), needed(blocks_max, start, percent))
    groups, folds = start, 0
    while folds < 7 and groups > 1 and blocks <= 128 * (groups // 2) and needed(blocks, groups // 2, percent) <= rows:
        groups, folds = groups // 2, folds + 1
    return start, groups, folds, min(rows, needed(blocks, groups, percent))


def sidecar(data, percent, size_max):
    blocks = [data[at:at + BLOCK] for at in range(0, len(data), BLOCK)]
    full = [block.ljust(BLOCK, b'\0') for block in blocks]
    if len(data) <= 65536:
        kind, groups, folds, rows, shards = 0, len(blocks), 0, 2, 1 if blocks else 0
        parity = full * 2
    else:
        start, groups, folds, rows = geometry(len(blocks), percent, math.ceil(size_max / BLOCK))
        kind, shards, parity = 1, math.ceil(len(blocks) / groups), []
        for row in range(rows):
            for group in range(groups):
                total = bytes(BLOCK)
                for number in range(group, len(blocks), groups):
                    column = (number // start) ^ (number % start * 128 // start)
                    total = added(total, scaled(INVERSE[(128 + row) ^ column], full[number]))
                parity.append(total)
    header = struct.pack('>IHHIIHHHHQ32s252s', 0x48465253, 1, kind, BLOCK, groups, shards, rows, folds, len(NAME), len(data),
                         hashlib.sha256(data).digest(), NAME)
    header += struct.pack('>I', crc32c(header))
    table = b''.join(struct.pack('>I', zlib.crc32(block)) for block in blocks + parity)
    return header + table + b''.join(parity) + table + header


size, percent, size_max = int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
content = bytes((((i * i) >> 5) ^ (i * 7)) & 255 for i in range(size))
result = sidecar(content, percent, size_max)
print(len(result), hashlib.sha256(result).hexdigest())
