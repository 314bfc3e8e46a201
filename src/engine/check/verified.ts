/**
 * When each container was last read to the last byte: `cache/verified`, disposable. A file that is damaged counts as empty, so that everything is read
 * again. Bounded by the containers that exist. Layout: `docs/formats/verified.md`.
 */
import { NotFoundError, type Disk, type World } from '../../core/index.ts';
import { crc32 } from '../containers/checksums.ts';
import { numberOf, type ContainerRow } from '../containers/container.ts';

const VERIFIED_PATH = 'cache/verified';
/** "HFVR" */
const MAGIC = 0x4846_5652;
const VERSION = 1;
const HEAD_BYTES = 12;
const ROW_BYTES = 16;
/** Containers of a petabyte. */
const BYTES_MAX = 32_000_000 * ROW_BYTES;

/** By a container's number as text, milliseconds since 1970; empty when there is no sound file. */
export async function readVerified(disk: Disk): Promise<Map<string, number>> {
  const file = await disk.open(VERIFIED_PATH, 'read').catch((error: unknown) => {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  });
  if (file === undefined) return new Map();
  try {
    if (file.size < HEAD_BYTES + 4 || file.size > BYTES_MAX) return new Map();
    const bytes = new Uint8Array(file.size);
    await file.readInto(0, bytes);
    return decode(bytes);
  } finally {
    await file.close();
  }
}

function decode(bytes: Uint8Array): Map<string, number> {
  const times = new Map<string, number>();
  const view = new DataView(bytes.buffer);
  const end = bytes.length - 4;
  const count = view.getUint32(8);
  if (view.getUint32(0) !== MAGIC || view.getUint32(4) !== VERSION || end !== HEAD_BYTES + count * ROW_BYTES || view.getUint32(end) !== crc32(bytes.subarray(0, end))) return times;
  for (let at = HEAD_BYTES; at < end; at += ROW_BYTES) {
    times.set(numberOf(view.getUint32(at), view.getUint32(at + 4)).text, view.getUint32(at + 8) * 0x1_0000_0000 + view.getUint32(at + 12));
  }
  return times;
}

/** Replaces the file; `staging` begins the name of the temporary one. Containers that are not in `rows` are forgotten. */
export async function writeVerified(world: World, staging: string, rows: readonly ContainerRow[], times: ReadonlyMap<string, number>): Promise<void> {
  const known = rows.filter(({ number }) => times.has(number.text));
  const bytes = new Uint8Array(HEAD_BYTES + known.length * ROW_BYTES + 4);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, VERSION);
  view.setUint32(8, known.length);
  for (const [i, { number }] of known.entries()) {
    const at = HEAD_BYTES + i * ROW_BYTES;
    const time = times.get(number.text) ?? 0;
    view.setUint32(at, number.high);
    view.setUint32(at + 4, number.low);
    view.setUint32(at + 8, Math.floor(time / 0x1_0000_0000));
    view.setUint32(at + 12, time >>> 0);
  }
  view.setUint32(bytes.length - 4, crc32(bytes.subarray(0, bytes.length - 4)));
  const { disk } = world;
  await disk.makeDirectory('cache');
  const temporary = `${staging}-verified-${Buffer.from(world.randomBytes(8)).toString('hex')}`;
  const file = await disk.create(temporary);
  try {
    await file.writeFrom(0, bytes);
  } finally {
    await file.close();
  }
  await disk.rename(temporary, VERIFIED_PATH);
}
