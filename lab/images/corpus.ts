/** Images of the corpus: containers that qemu-img reads, too, and damaged ones, which must fail by name or read right. */
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { FormatError, HoldfastError, LimitError, UnsupportedError, type BlockSource } from '../../src/core/index.ts';
import type { Checks } from '../checks.ts';
import { findCorpus } from '../corpus.ts';
import { differenceFrom, openIn } from './compare.ts';
import { toRaw } from './tools.ts';

const qemuNames: Readonly<Record<string, string>> = { '.qcow2': 'qcow2', '.vhdx': 'vhdx', '.vhd': 'vpc', '.vmdk': 'vmdk', '.vdi': 'vdi' };

async function imagesIn(directory: string): Promise<readonly string[]> {
  return (await readdir(directory)).filter((name) => Object.hasOwn(qemuNames, path.extname(name))).sort();
}

/** Reads all of a source. */
async function digest(source: BlockSource): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.alloc(1 << 20);
  for (let at = 0; at < source.size; at += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, source.size - at));
    await source.readInto(at, part);
    hash.update(part);
  }
  return hash.digest('hex');
}

/** Every container that qemu-img can read holds what qemu-img says. */
export async function checkContainers(directory: string, work: string, checks: Checks): Promise<void> {
  for (const name of await imagesIn(directory)) {
    const format = qemuNames[path.extname(name)] ?? '';
    const raw = path.join(work, 'expected.raw');
    try {
      toRaw(directory, name, format, raw);
    } catch (error) {
      checks.skip(`container ${name}: qemu-img cannot read it: ${(error as Error).message.slice(0, 120)}`);
      continue;
    }
    try {
      const image = await openIn(directory, name);
      const difference = await differenceFrom(image, raw, () => 0.9);
      await image.close();
      checks.expect(`container ${name} equals what qemu-img reads`, difference === undefined, difference ?? '');
    } catch (error) {
      checks.expect(`container ${name} is read`, false, String(error));
    }
  }
}

/** A damaged image fails with structure and field or a limit, or can be read to its end; what it names is not followed. */
export async function checkDamaged(directory: string, checks: Checks): Promise<void> {
  for (const name of await imagesIn(directory)) {
    try {
      const image = await openIn(path.join(directory), name);
      await digest(image);
      await image.close();
      checks.expect(`damaged ${name} reads to its end`, true, '');
    } catch (error) {
      const named = error instanceof FormatError || error instanceof LimitError || error instanceof UnsupportedError || (error instanceof HoldfastError && error.code === 'NOT_FOUND');
      checks.expect(`damaged ${name} fails by name: ${(error as Error).message.slice(0, 100)}`, named, String(error));
    }
  }
}

/** The folder of images, unpacked when that has not been done yet; undefined when there is none. */
export function imagesFolder(): string | undefined {
  const found = findCorpus('images-public');
  return 'folder' in found ? found.folder : undefined;
}
