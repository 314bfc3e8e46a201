/** Compressed extents: framing and padding, and what must not pass for data. Frames of real btrfs are in `btrfs.test.ts`. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { deflateSync } from 'node:zlib';
import { FormatError, HoldfastError, UnsupportedError, utf8 } from '../../../core/index.ts';
import { checksumOf } from './checksum.ts';
import { nameHash, referenceHash } from './names.ts';
import { compressionOf, unpackExtent } from './unpack.ts';

const options = { sectorBytes: 4096, fast: undefined };

/** An LZO1X block of literals only. Source: the kernel's `staging/lzo.rst`. */
function literals(bytes: Uint8Array): Uint8Array {
  const rest = bytes.length - 18;
  const zeroes = Math.ceil(rest / 255) - 1;
  return Uint8Array.from([0, ...Array.from({ length: zeroes }, () => 0), rest - 255 * zeroes, ...bytes, 0x11, 0, 0]);
}

/** Segments behind each other as btrfs frames them. */
function framed(segments: readonly Uint8Array[]): Uint8Array {
  const bytes = Buffer.alloc(64 << 10);
  let at = 4;
  for (const segment of segments) {
    if (4096 - at % 4096 < 4) at += 4096 - at % 4096;
    bytes.writeUInt32LE(segment.length, at);
    bytes.set(segment, at + 4);
    at += 4 + segment.length;
  }
  bytes.writeUInt32LE(at, 0);
  return new Uint8Array(bytes.subarray(0, Math.ceil(at / 4096) * 4096));
}

test('LZO: the length of a segment never stands across two sectors', async () => {
  for (const length of [4000, 4074, 4075, 4076, 4077, 4078]) {
    const first = new Uint8Array(length).fill(1);
    const second = new Uint8Array(4096).fill(2);
    const found = await unpackExtent('lzo', framed([literals(first), literals(second)]), 8192, options).catch((error: unknown) => error);
    // A first segment that is not a whole sector would leave the second one at a wrong place: only its framing is looked at here.
    assert.ok(found instanceof Uint8Array, `${length}: ${String(found)}`);
    assert.deepEqual(found.slice(0, length), first);
    assert.deepEqual(found.slice(length, length + 4096), second);
  }
});

test('what is packed may end in its last sector, and not before', async () => {
  for (const [kind, pack] of [['zlib', (bytes: Uint8Array) => new Uint8Array(Buffer.concat([deflateSync(bytes), Buffer.alloc(100)]))], ['lzo', (bytes: Uint8Array) => framed([literals(bytes)])]] as const) {
    const found = await unpackExtent(kind, pack(new Uint8Array(3000).fill(7)), 4096, options);
    assert.deepEqual([found.length, found[2999], found[3000]], [4096, 7, 0]);
    await assert.rejects(unpackExtent(kind, pack(new Uint8Array(3000).fill(7)), 8192, options), FormatError);
    await assert.rejects(unpackExtent(kind, pack(new Uint8Array(3000).fill(7)).subarray(0, 20), 4096, options), FormatError);
  }
  await assert.rejects(unpackExtent('zlib', deflateSync(new Uint8Array(9000)), 4096, options), FormatError, 'more than the extent');
  for (const kind of ['zlib', 'lzo', 'zstd'] as const) await assert.rejects(unpackExtent(kind, new Uint8Array(4096), 4096, options), HoldfastError, 'zeroes are no data');
});

test('kinds of compression and checksums by number', async () => {
  assert.deepEqual([0, 1, 2, 3].map(compressionOf), [undefined, 'zlib', 'lzo', 'zstd']);
  assert.throws(() => compressionOf(4), UnsupportedError);
  await assert.rejects(checksumOf(4), UnsupportedError);
});

test('checksums give published values', async () => {
  const digits = utf8('123456789');
  // RFC 3720 (check value of the polynomial), xxHash specification (empty input), FIPS 180-2 ("abc"), BLAKE2b with a digest of 256 bits ("abc", as RFC 7693 parameters give it).
  const expected = [[0, digits, '839206e3'], [1, new Uint8Array(0), '99e9d85137db46ef'], [2, utf8('abc'), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'], [3, utf8('abc'), 'bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319']] as const;
  for (const [type, data, hex] of expected) {
    const checksum = await checksumOf(type);
    assert.equal(Buffer.from(checksum.of(data)).toString('hex'), hex, checksum.name);
    const stored = Uint8Array.from([1, 2, 3, ...checksum.of(data)]);
    assert.deepEqual([checksum.bytes, checksum.holds(data, stored, 3), checksum.holds(data, stored, 2)], [hex.length / 2, true, false]);
  }
});

test('names hash as the kernel does it', () => {
  // From the root tree of any btrfs: the entry "default" stands at this offset.
  assert.equal(nameHash(utf8('default')), 2_378_154_706);
  assert.notEqual(referenceHash(256, utf8('a')), referenceHash(257, utf8('a')));
});
