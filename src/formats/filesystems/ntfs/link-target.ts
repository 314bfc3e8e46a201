/**
 * Targets of Windows' links as paths that work here: slashes, letters in the case that names on the volume have, and absolute ones relative
 * to the link, so that they lead to the same file wherever the volume is mounted or restored. Drive letters say nothing about which volume
 * is meant: like ntfs-3g, a path that exists on this one is taken to be meant.
 */
import { NotFoundError } from '../../../core/index.ts';
import { wtf8Of } from '../wtf8.ts';
import { ATTRIBUTE, RECORD } from './ntfs.layout.ts';
import type { Inodes } from './inodes.ts';
import type { WindowsLink } from './reparse.ts';

const DEPTH_MAX = 256;
/** `\??\C:\`, `\\?\C:\`, `C:\` or `\`. */
const ABSOLUTE = /^(?:\\(?:\?\?|\\\?)\\)?(?:[A-Za-z]:)?\\(?!\\|\?)/u;

function partsOf(path: string): readonly string[] {
  return path.split('\\').filter((part) => part !== '');
}

/** Directory of a file, by its first name. */
async function parentOf(inodes: Inodes, number: number): Promise<number | undefined> {
  const names = await inodes.names(number);
  return names[0]?.parent;
}

/** How many directories are between the root and the directory of a file; undefined when the way up does not end. */
async function depthOf(inodes: Inodes, number: number): Promise<number | undefined> {
  let at = await parentOf(inodes, number);
  for (let depth = 0; depth < DEPTH_MAX && at !== undefined; depth += 1) {
    if (at === RECORD.root) return depth;
    at = await parentOf(inodes, at);
  }
  return undefined;
}

/** Names as the volume has them, from `start` on; undefined from the first that does not exist. */
async function resolve(inodes: Inodes, start: number, parts: readonly string[]): Promise<readonly string[] | undefined> {
  const found: string[] = [];
  let at: number | undefined = start;
  for (const part of parts) {
    if (at === undefined) return undefined;
    if (part === '.' || part === '..') {
      found.push(part);
      if (part === '..' && at !== RECORD.root) at = await parentOf(inodes, at);
      continue;
    }
    const segments = await inodes.open(at);
    if (!segments.has(ATTRIBUTE.indexRoot, '$I30')) return undefined;
    const entry = await (await inodes.directory(at)).findFolded(part);
    if (entry === undefined) return undefined;
    found.push(entry.isShort ? part : entry.units);
    at = entry.record;
  }
  return found;
}

/** The same without failing: what cannot be looked up is no name on this volume. */
async function tryResolve(inodes: Inodes, start: number | undefined, parts: readonly string[]): Promise<readonly string[] | undefined> {
  if (start === undefined) return undefined;
  try {
    return await resolve(inodes, start, parts);
  } catch (error) {
    if (error instanceof NotFoundError) return undefined;
    throw error;
  }
}

/** The target of the link that is record `number`. @throws {FormatError} when a directory on the way is damaged. */
export async function linkTarget(inodes: Inodes, number: number, { path, relative }: WindowsLink): Promise<Uint8Array> {
  if (relative && !path.startsWith('\\')) {
    const parts = partsOf(path);
    return wtf8Of((await tryResolve(inodes, await parentOf(inodes, number), parts) ?? parts).join('/'));
  }
  const head = ABSOLUTE.exec(path);
  const depth = head === null ? undefined : await depthOf(inodes, number);
  const found = head === null || depth === undefined ? undefined : await tryResolve(inodes, RECORD.root, partsOf(path.slice(head[0].length)));
  if (found === undefined || depth === undefined) return wtf8Of(path.replace(/^\\(?:\?\?|\\\?)\\/u, '').replaceAll('\\', '/'));
  const up = Array.from({ length: depth }, () => '..');
  return wtf8Of([...up, ...found].join('/') || '.');
}
