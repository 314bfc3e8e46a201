/** A table of records in several segments: its own list of attributes, made by hand from an image, since no tool makes one on purpose. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { FormatError, lookupPath, readRange, utf8 } from '../../../core/index.ts';
import { parseBoot } from './boot.ts';
import { fixture, lines, openBytes } from './testdata/fixture.ts';
import { editBlock, recordBlock } from './testing/record-editor.ts';

/** A record that mkntfs reserves and leaves empty. */
const SPARE_RECORD = 15;
const LIST = 0x20;
const DATA = 0x80;

/** One run list entry: so many clusters from there, both in 4 bytes. */
function run(length: number, cluster: number): Buffer {
  const bytes = Buffer.alloc(9);
  bytes.writeUInt8(0x44);
  bytes.writeUInt32LE(length, 1);
  bytes.writeInt32LE(cluster, 5);
  return bytes;
}

function listEntry(type: number, vcn: number, record: number, id: number): Buffer {
  const bytes = Buffer.alloc(32);
  bytes.writeUInt32LE(type);
  bytes.writeUInt16LE(32, 4);
  bytes.writeUInt8(26, 7);
  bytes.writeUInt32LE(vcn, 8);
  bytes.writeUInt32LE(record, 16);
  bytes.writeUInt16LE(record === 0 ? 1 : record, 22);
  bytes.writeUInt16LE(id, 24);
  return bytes;
}

/** The attributes of a record in their order, without the end marker. */
function attributesOf(view: DataView): Buffer[] {
  const found: Buffer[] = [];
  for (let at = view.getUint16(20, true); view.getUint32(at, true) !== 0xffff_ffff; at += view.getUint32(at + 4, true)) {
    found.push(Buffer.from(new Uint8Array(view.buffer, view.byteOffset + at, view.getUint32(at + 4, true)).slice()));
  }
  return found;
}

function setAttributes(bytes: Uint8Array, view: DataView, attributes: readonly Buffer[]): void {
  const start = view.getUint16(20, true);
  const all = Buffer.concat([...attributes, Buffer.of(0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0)]);
  bytes.fill(0, start);
  bytes.set(all, start);
  view.setUint32(24, start + all.length, true);
}

function residentList(entries: readonly Buffer[]): Buffer {
  const value = Buffer.concat(entries);
  const head = Buffer.alloc(24);
  head.writeUInt32LE(LIST);
  head.writeUInt32LE(24 + value.length, 4);
  head.writeUInt16LE(40, 14);
  head.writeUInt32LE(value.length, 16);
  head.writeUInt16LE(24, 20);
  return Buffer.concat([head, value]);
}

/** The first `keep` clusters of the table stay in record 0, the others move to an extension record. */
async function splitTable(keep: number): Promise<Uint8Array> {
  const image = (await fixture('narrow')).slice();
  const { mftCluster } = parseBoot(image.subarray(0, 512), 0);
  let second = Buffer.alloc(0);
  editBlock(image, recordBlock(image, 0), (bytes, view) => {
    const attributes = attributesOf(view);
    const data = attributes.find((one) => one.readUInt32LE() === DATA) as Buffer;
    const clusters = data.readUInt32LE(24) + 1;
    const moved = Buffer.alloc(64 + 16);
    data.copy(moved, 0, 0, 64);
    moved.writeUInt32LE(moved.length, 4);
    moved.writeUInt16LE(64, 32);
    moved.writeUInt32LE(keep, 16);
    moved.writeUInt32LE(clusters - 1, 24);
    // The table is in one piece: the test below looks.
    run(clusters - keep, mftCluster + keep).copy(moved, 64);
    second = moved;
    const first = Buffer.alloc(64 + 16);
    data.copy(first, 0, 0, 64);
    first.writeUInt32LE(first.length, 4);
    first.writeUInt16LE(64, 32);
    first.writeUInt32LE(keep - 1, 24);
    run(keep, mftCluster).copy(first, 64);
    const others = attributes.filter((one) => one !== data);
    const list = residentList([
      ...others.filter((one) => one.readUInt32LE() < DATA).map((one) => listEntry(one.readUInt32LE(), 0, 0, one.readUInt16LE(14))), listEntry(DATA, 0, 0, data.readUInt16LE(14)), listEntry(DATA, keep, SPARE_RECORD, data.readUInt16LE(14)),
      ...others.filter((one) => one.readUInt32LE() > DATA).map((one) => listEntry(one.readUInt32LE(), 0, 0, one.readUInt16LE(14))),
    ]);
    const sorted = [...others.filter((one) => one.readUInt32LE() < LIST), list, ...others.filter((one) => one.readUInt32LE() > LIST && one.readUInt32LE() < DATA), first, ...others.filter((one) => one.readUInt32LE() > DATA)];
    setAttributes(bytes, view, sorted);
  });
  editBlock(image, recordBlock(image, SPARE_RECORD), (bytes, view) => {
    view.setUint16(22, 1, true);
    view.setUint32(32, 0, true);
    view.setUint16(38, 1, true);
    setAttributes(bytes, view, [second]);
  });
  return image;
}

async function piecesOf(image: Uint8Array): Promise<Uint8Array> {
  const tree = await openBytes(image);
  assert.deepEqual(tree.problems(), []);
  const id = await lookupPath(tree, utf8('pieces.bin'));
  assert.ok(id !== undefined && id >= 64, 'a record behind the first segment');
  const source = await tree.open(id);
  return readRange(source, 0, source.size);
}

test('a table whose runs go on in an extension record is read to its end', async () => {
  const image = await fixture('narrow');
  const { mftCluster, clusterBytes } = parseBoot(image.subarray(0, 512), 0);
  const id = await lookupPath(await openBytes(image), utf8('pieces.bin')) as number;
  assert.equal(Buffer.from(image).toString('latin1', mftCluster * clusterBytes + id * 1024, mftCluster * clusterBytes + id * 1024 + 4), 'FILE', 'the table is in one piece up to there');
  for (const keep of [32, 40, 64]) assert.ok(Buffer.compare(await piecesOf(await splitTable(keep)), lines('pieces.bin', 320_000)) === 0, `${keep} clusters in the first segment`);
});

test('an extension record that belongs to another file is refused', async () => {
  const image = await splitTable(40);
  editBlock(image, recordBlock(image, SPARE_RECORD), (_, view) => { view.setUint32(32, 30, true); });
  await assert.rejects(openBytes(image), (error: unknown) => error instanceof FormatError && error.fault.field === 'record');
});
