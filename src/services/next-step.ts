/** What to type next where a disk was named and files were meant, or the other way round. */
import { UnsupportedError, formatSourcePath, textOf } from '../core/index.ts';
import { imageFormatOf } from './guests/disk-head.ts';
import type { DiskPart } from './guests/disk-parts.ts';
import { listDisks } from './guests/disk-walk.ts';
import { isForeign } from './locations/foreign-content.ts';
import type { Location } from './locations/index.ts';
import type { DiskPlace } from './locations/place.ts';

/** Filesystems that a sentence names; the rest is for `info`. */
const NAMED_MAX = 3;

/** What holds no files by itself. */
const noFiles: readonly string[] = ['gpt', 'mbr', 'ldm', 'lvm', 'md', 'luks'];

/** Whether files can be listed in it: it has some, and a reader. */
export function holdsFiles({ holds, locked, error }: DiskPart): boolean {
  return holds !== undefined && !noFiles.includes(holds) && !isForeign(holds) && locked === undefined && error === undefined;
}

/** The location of the root of a filesystem on a disk at `text`. */
function rootOf(text: string, { step }: DiskPart): string {
  return `${text}${step === '' ? '' : `::${step}`}::/`;
}

/**
 * The disk that a location ends at: also a file of this host, of a job or of a snapshot that is one, which the location then enters. A file of a guest is a file.
 * @throws {UnsupportedError} a file of this host whose container is known, and not read.
 */
export async function diskOf(location: Location): Promise<DiskPlace | undefined> {
  const { place, layers } = location;
  if (place.kind === 'disk') return place;
  if (place.kind !== 'node' || layers.some(({ layer }) => layer === 'filesystem')) return undefined;
  const { tree, id, path } = place.view;
  if ((await tree.stat(id)).type !== 'file') return undefined;
  const source = await tree.open(id);
  const format = await imageFormatOf(source, textOf(path)).catch((error: unknown) => {
    // Where others vouch for its bytes it is a file like any.
    if (error instanceof UnsupportedError && location.source.steps.length > 0) return undefined;
    throw error;
  }).finally(() => source.close());
  if (format === undefined) return undefined;
  await location.enterDisk(format);
  return location.place.kind === 'disk' ? location.place : undefined;
}

/** `it is a file, expected a directory`, or where the files are if the location is a disk: for verbs that need a directory. */
export async function notDirectory(location: Location, type: string): Promise<string> {
  const disk = await diskOf(location).catch(() => undefined);
  return disk === undefined ? `it is a ${type}, expected a directory` : filesHint(location);
}

/** `; the disk that it is on is 'disk.qcow2::p1'`, or nothing: for verbs that need bytes. */
export function diskHint({ layers, source: { root, steps } }: Location): string {
  const last = steps.findLastIndex((step) => !step.startsWith('/') && !/^(subvol|dataset|snapshot|stream)=/.test(step));
  if (!layers.some(({ layer }) => layer === 'filesystem')) return '';
  return `; the disk that it is on is '${formatSourcePath({ root, steps: steps.slice(0, last + 1) })}'`;
}

/** One sentence about a location that ends at a disk: where its files are, in words that can be typed. Never throws for bad content. */
export async function filesHint({ place, text, options }: Location): Promise<string> {
  if (place.kind !== 'disk') return `it is no disk; 'holdfast info' tells what it is`;
  const { disks: [first], sets } = await listDisks(place.disks, { opening: { ...options, onNote: () => undefined }, look: 'marks', degraded: true });
  // Of several disks, steps lead to the first one and to what is on all of them.
  const parts = [...first?.parts ?? [], ...sets.flatMap((set) => set.parts)];
  const roots = parts.filter(holdsFiles);
  const shown = roots.slice(0, NAMED_MAX).map((part) => `'${rootOf(text, part)}' (${part.holds ?? ''})`).join(', ');
  if (shown !== '') return `it is a disk; its files are at ${shown}${roots.length > NAMED_MAX ? `, and ${roots.length - NAMED_MAX} more` : ''}`;
  if (parts.some(({ locked, holds }) => locked === true && holds !== 'BitLocker')) return `it is a disk, encrypted: with --key FILE its files can be reached; 'holdfast disks' tells what is on it`;
  return `it is a disk, and no filesystem that can be read is on it; 'holdfast info' tells what is known of it`;
}
