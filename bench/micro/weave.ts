/**
 * Weaving of Bacula volumes: taking a volume apart, reading the parts, and giving its bytes back, beside the checksum over the same bytes that any reader of a
 * volume computes. Measured by the CPU time of the process, in turns; the least of several rounds counts.
 */
import { MemorySource, defaultLimits, utf8, type BlockSource } from '../../src/core/index.ts';
import { crc32, sharedBlockHasher, splitSegment, weave, type Segment, type WovenParts } from '../../src/formats/bacula/index.ts';
import { SessionWriter, VolumeWriter, encodeAttributes, encodeLstat } from '../../src/formats/bacula/testing/volume-writer.ts';
import { randomBytesOf } from './inputs.ts';
import { withRatios, type Row } from './suite.ts';

/** Rounds of which the least counts. */
export const WEAVE_ROUNDS = 5;
const VOLUME_BYTES = 48 << 20;
const PIECE = new Uint8Array(1 << 20);

async function volumeOf(version: 'BB02' | 'BB03', fileBytes: number, sessions: number): Promise<Uint8Array> {
  const blocks: Uint8Array[] = [];
  const volume = new VolumeWriter({ version, blockBytes: 64_512, hasher: await sharedBlockHasher(), emit: (block) => { blocks.push(block); } });
  const writers = Array.from({ length: sessions }, (_, i) => new SessionWriter(volume, { id: i + 1, time: 1, jobId: i + 1 }));
  const data = randomBytesOf(50, fileBytes);
  for (const writer of writers) writer.start();
  for (let file = 1; file * fileBytes * sessions < VOLUME_BYTES; file += 1) {
    for (const writer of writers) {
      writer.record(file, 1, encodeAttributes({ fileIndex: file, type: 3, name: utf8(`/some/directory/file-${file}`) }, encodeLstat({ mode: 0o100644, size: fileBytes, atime: 1_700_000_000 + file })));
      for (let at = 0; at < fileBytes; at += 65_536) writer.record(file, 2, data.subarray(at, at + 65_536));
      writer.record(file, 3, data.subarray(0, 16));
    }
  }
  for (const writer of writers) writer.end();
  return Buffer.concat(blocks);
}

async function split(volume: BlockSource): Promise<readonly Segment[]> {
  const segments: Segment[] = [];
  for (let at = 0; at < volume.size; at += segments.at(-1)?.length ?? 0) {
    segments.push(await splitSegment(volume, at, { limits: defaultLimits, hasher: await sharedBlockHasher() }));
  }
  return segments;
}

async function readAll(source: BlockSource): Promise<void> {
  for (let at = 0; at < source.size; at += PIECE.length) await source.readInto(at, PIECE.subarray(0, Math.min(PIECE.length, source.size - at)), { sequential: true });
}

async function cpuMicroseconds(run: () => Promise<unknown> | void): Promise<number> {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

async function rowsOf(group: string, volume: Uint8Array): Promise<readonly Row[]> {
  const source = new MemorySource(volume);
  const parts = (await split(source)).map((segment) => segment.parts).filter((one): one is WovenParts => one !== undefined);
  const ways: readonly (readonly [string, () => Promise<unknown> | void])[] = [
    ['CRC-32', () => { crc32(volume); }],
    ['split', () => split(source)],
    ['read the parts', async () => { for (const { layout, heads, meta, data } of parts) for (const part of [layout, heads, meta, data]) await readAll(part); }],
    ['weave', async () => { for (const one of parts) await readAll(await weave(one)); }],
  ];
  const least = ways.map(() => Infinity);
  for (let round = 0; round < WEAVE_ROUNDS; round += 1) {
    for (const [i, [, run]] of ways.entries()) least[i] = Math.min(least[i] as number, await cpuMicroseconds(run));
  }
  return withRatios(ways.map(([name], i) => ({ group, name, perSecond: volume.length * 1e6 / (least[i] as number) })));
}

/** Bytes of the volume a second of CPU time, each way as a ratio to CRC-32 over them. */
export async function weaveRows(): Promise<readonly Row[]> {
  const rows: Row[] = [];
  for (const version of ['BB02', 'BB03'] as const) {
    rows.push(...await rowsOf(`${version}, files of 2 MiB`, await volumeOf(version, 2 << 20, 1)));
    rows.push(...await rowsOf(`${version}, files of 2,000 bytes`, await volumeOf(version, 2000, 1)));
  }
  rows.push(...await rowsOf('BB03, 5 jobs at once, files of 20,000 bytes', await volumeOf('BB03', 20_000, 5)));
  return rows;
}
