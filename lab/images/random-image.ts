/** An image of one format with random options, content and later writes, made by qemu-img and qemu-io. */
import { closeSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import path from 'node:path';
import { seededBytes } from '../../src/core/testing/random.ts';
import { qemuIo, runTool } from './tools.ts';

const SECTOR = 512;

/** Formats by QEMU's names, with options of which any combination is legal. */
const options: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  qcow2: { cluster_size: ['512', '4k', '16k', '64k', '256k', '2M'], compat: ['0.10', '1.1'], preallocation: ['off', 'metadata'], refcount_bits: ['16'] },
  'qcow2 extended': { cluster_size: ['16k', '64k', '128k', '2M'], extended_l2: ['on'], lazy_refcounts: ['on', 'off'] },
  'qcow2 zlib': { cluster_size: ['512', '4k', '64k', '1M'], compression_type: ['zlib'] },
  'qcow2 zstd': { cluster_size: ['4k', '32k', '64k', '2M'], compression_type: ['zstd'] },
  'qcow2 data file': { cluster_size: ['64k', '4k'], data_file_raw: ['on', 'off'] },
  vhdx: { subformat: ['dynamic', 'fixed'], block_size: ['1M', '2M', '8M', '32M'] },
  vpc: { subformat: ['dynamic', 'fixed'], force_size: ['on', 'off'] },
  vmdk: { subformat: ['monolithicSparse', 'twoGbMaxExtentSparse', 'monolithicFlat', 'twoGbMaxExtentFlat'], adapter_type: ['ide', 'lsilogic'], zeroed_grain: ['on', 'off'] },
  'vmdk stream': { subformat: ['streamOptimized'] },
  vdi: { static: ['on', 'off'] },
};

/** Kinds of images that {@link makeImage} makes. */
export const imageKinds: readonly string[] = Object.keys(options);

/** An image that was made. */
export interface RandomImage {
  readonly file: string;
  /** QEMU's name of the format. */
  readonly format: string;
  /** All files, the image first, then those that it names. */
  readonly files: readonly string[];
  /** The command line's part that made it. */
  readonly how: string;
}

function pick<T>(random: () => number, from: readonly T[]): T {
  return from[Math.floor(random() * from.length)] as T;
}

/** A raw disk with runs of text, noise and nothing. */
export function makeRaw(directory: string, name: string, random: () => number): number {
  const sectors = 64 + Math.floor(random() ** 2 * 24_000);
  const fd = openSync(path.join(directory, name), 'w');
  ftruncateSync(fd, sectors * SECTOR);
  for (let i = 0; i < 12; i += 1) {
    const at = Math.floor(random() * sectors);
    const count = Math.min(sectors - at, 1 + Math.floor(random() ** 3 * 3000));
    const bytes = random() < 0.5 ? seededBytes(count * SECTOR, Math.floor(random() * 2 ** 31)) : Buffer.alloc(count * SECTOR, `run ${i} of text that compresses well `);
    writeSync(fd, bytes, 0, bytes.length, at * SECTOR);
  }
  closeSync(fd);
  return sectors * SECTOR;
}

/** Commands of qemu-io: writes, zeroes and discards of whole sectors at random places. */
export function randomWrites(random: () => number, size: number, count: number): readonly string[] {
  return Array.from({ length: count }, () => {
    const at = Math.floor(random() * size / SECTOR) * SECTOR;
    const length = Math.min(size - at, SECTOR * (1 + Math.floor(random() ** 3 * 800)));
    return pick(random, [`write -P 0x${(1 + Math.floor(random() * 255)).toString(16)} ${at} ${length}`, `write -P 0x5a ${at} ${length}`, `write -z ${at} ${length}`, `discard ${at} ${length}`]);
  });
}

function chosen(random: () => number, kind: string): readonly string[] {
  const all = Object.entries(options[kind] ?? {}).map(([name, values]) => `${name}=${pick(random, values)}`);
  // Version 2 has neither; fixed subformats of VMDK no zeroed grains.
  const old = all.includes('compat=0.10');
  const flat = all.some((one) => /subformat=.*Flat/.test(one));
  return all.filter((one) => !(flat && one.startsWith('zeroed_grain')) && !(old && one === 'preallocation=metadata'));
}

/** Makes an image `name` from the raw disk `raw`, and writes to it afterwards where the format allows. @throws {Error} */
export function makeImage(directory: string, names: { readonly raw: string; readonly image: string }, kind: string, random: () => number): RandomImage {
  const [format = ''] = kind.split(' ');
  const compressed = kind.endsWith('zlib') || kind.endsWith('zstd');
  const picked = [...chosen(random, kind), ...(kind === 'qcow2 data file' ? [`data_file=${names.image}.data`] : [])];
  const parameters = ['convert', '-f', 'raw', ...(compressed ? ['-c'] : []), '-O', format, '-o', picked.join(','), names.raw, names.image];
  runTool(directory, 'qemu-img', parameters);
  const { 'virtual-size': size } = JSON.parse(runTool(directory, 'qemu-img', ['info', '--output=json', '-f', format, names.image])) as { 'virtual-size': number };
  if (kind !== 'vmdk stream') qemuIo(directory, names.image, format, randomWrites(random, size, 8));
  const base = names.image.replace(/\.\w+$/, '');
  const extra = [`${names.image}.data`, `${base}-s001.vmdk`, `${base}-f001.vmdk`, `${base}-flat.vmdk`];
  return { file: names.image, format, files: [names.image, ...extra], how: parameters.slice(3).join(' ') };
}

/** Makes a chain of qcow2 images above `base`, each written to, sizes and clusters at random; its top. @throws {Error} */
export function makeChain(directory: string, base: RandomImage, depth: number, random: () => number): RandomImage {
  let below = base.file;
  let format = base.format;
  const files = [...base.files];
  for (let level = 1; level <= depth; level += 1) {
    const name = `${base.file}.over${level}.qcow2`;
    const size = 65_536 * (1 + Math.floor(random() * 300));
    const layout = pick(random, ['cluster_size=4k', 'cluster_size=64k', 'cluster_size=256k', 'cluster_size=16k,extended_l2=on', 'cluster_size=128k,extended_l2=on']);
    runTool(directory, 'qemu-img', ['create', '-q', '-f', 'qcow2', '-o', layout, '-b', below, '-F', format, name, String(size)]);
    qemuIo(directory, name, 'qcow2', randomWrites(random, size, 6));
    files.unshift(name);
    below = name;
    format = 'qcow2';
  }
  return { file: below, format: 'qcow2', files, how: `chain of ${depth} above ${base.how}` };
}
