/**
 * What a live tree holds, in the form of the corpus' `manifest-*.jsonl`: taken with Node's lstat, with md5 over a plain
 * read and with `getfattr`, so that it shares no code with what it is compared with.
 */
import { createHash } from 'node:crypto';
import { closeSync, lstatSync, openSync, readSync, readdirSync, readlinkSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { runTool } from './tool.ts';

/** One path. `mode` is octal text with `0o`, `xattr` values are base64; `path` is latin1 when `path_b64` is there. */
export interface LiveEntry {
  readonly path: string;
  readonly path_b64?: string;
  readonly type: 'file' | 'dir' | 'symlink' | 'fifo' | 'chr' | 'blk' | 'sock';
  readonly size: number;
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly nlink: number;
  readonly ino: number;
  readonly md5?: string;
  readonly target?: string;
  readonly target_b64?: string;
  readonly rdev?: readonly [major: number, minor: number];
  readonly xattr?: Readonly<Record<string, string>>;
}

const slash = Buffer.from('/');

function typeOf(stat: BigIntStats): LiveEntry['type'] {
  if (stat.isDirectory()) return 'dir';
  if (stat.isSymbolicLink()) return 'symlink';
  if (stat.isFIFO()) return 'fifo';
  if (stat.isCharacterDevice()) return 'chr';
  if (stat.isBlockDevice()) return 'blk';
  return stat.isSocket() ? 'sock' : 'file';
}

function md5Of(file: Buffer): string {
  const hash = createHash('md5');
  const chunk = Buffer.alloc(1 << 20);
  const handle = openSync(file, 'r');
  for (let length = readSync(handle, chunk); length > 0; length = readSync(handle, chunk)) hash.update(chunk.subarray(0, length));
  closeSync(handle);
  return hash.digest('hex');
}

/** Exact text, or undefined when the bytes are not UTF-8. */
function exactText(bytes: Buffer): string | undefined {
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : undefined;
}

/** Linux's split of `st_rdev`. Source: gnu_dev_major and gnu_dev_minor in the C library's manual page makedev(3). */
function deviceNumbers(rdev: bigint): readonly [number, number] {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & ~0xfffn);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & ~0xffn);
  return [Number(major), Number(minor & 0xffff_ffffn)];
}

/** Undoes getfattr's `\ooo` quoting of names; text is latin1. */
function unquoted(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** Extended attributes of all paths below `root`, by path in latin1. */
async function attributesBelow(root: string): Promise<ReadonlyMap<string, Record<string, string>>> {
  const printed = await runTool(['getfattr', '-R', '-P', '-h', '-d', '-m', '-', '-e', 'base64', '--absolute-names', '--', root]);
  const found = new Map<string, Record<string, string>>();
  let current: Record<string, string> = {};
  for (const line of printed.stdout.toString('latin1').split('\n')) {
    if (line.startsWith('# file: ')) {
      current = {};
      found.set(unquoted(line.slice('# file: '.length)), current);
    } else if (line !== '') {
      const equals = line.indexOf('=');
      const name = unquoted(equals < 0 ? line : line.slice(0, equals));
      current[name] = equals < 0 ? '' : line.slice(equals + 1).replace(/^0s/, '');
    }
  }
  return found;
}

function describe(path: Buffer, xattr: Record<string, string> | undefined): LiveEntry {
  const stat = lstatSync(path, { bigint: true });
  const type = typeOf(stat);
  const text = exactText(path);
  const target = type === 'symlink' ? readlinkSync(path, { encoding: 'buffer' }) : undefined;
  const targetText = target === undefined ? undefined : exactText(target);
  return {
    path: text ?? path.toString('latin1'),
    ...(text === undefined ? { path_b64: path.toString('base64') } : {}),
    type,
    size: Number(stat.size),
    mode: `0o${(stat.mode & 0o7777n).toString(8)}`,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtime: Number((stat.mtimeNs - (((stat.mtimeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n)) / 1_000_000_000n),
    nlink: Number(stat.nlink),
    ino: Number(stat.ino),
    ...(type === 'file' ? { md5: md5Of(path) } : {}),
    ...(target === undefined ? {} : { target: targetText ?? target.toString('latin1') }),
    ...(target === undefined || targetText !== undefined ? {} : { target_b64: target.toString('base64') }),
    ...(type === 'chr' || type === 'blk' ? { rdev: deviceNumbers(stat.rdev) } : {}),
    ...(xattr === undefined ? {} : { xattr }),
  };
}

/** All paths from `root` down, absolute, the root first; sockets are listed too although no backup keeps them. */
export async function describeLiveTree(root: string): Promise<readonly LiveEntry[]> {
  const attributes = await attributesBelow(root);
  const entries: LiveEntry[] = [];
  const open = [Buffer.from(root)];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const entry = describe(path, attributes.get(path.toString('latin1')));
    entries.push(entry);
    if (entry.type !== 'dir') continue;
    for (const name of readdirSync(path, { encoding: 'buffer' })) open.push(Buffer.concat([path, slash, name]));
  }
  return entries;
}

const compared = ['type', 'mode', 'uid', 'gid', 'mtime', 'md5', 'target_b64', 'target', 'rdev', 'xattr'] as const;

function sortedKeys(_: string, value: unknown): unknown {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Differences between two trees whose roots have different places, one line each; empty when they are equal.
 * Sockets, the size of directories and fractions of a second are left out: Bacula does not keep them.
 */
export function compareLiveTrees(expected: readonly LiveEntry[], found: readonly LiveEntry[], foundBelow: string): readonly string[] {
  const key = (entry: LiveEntry): string => (entry.path_b64 === undefined ? Buffer.from(entry.path) : Buffer.from(entry.path_b64, 'base64')).toString('latin1');
  const prefix = Buffer.from(foundBelow).toString('latin1');
  const seen = new Map(found.map((entry) => [key(entry).slice(prefix.length), entry]));
  const differences: string[] = [];
  for (const entry of expected.filter((one) => one.type !== 'sock')) {
    const other = seen.get(key(entry));
    seen.delete(key(entry));
    if (other === undefined) differences.push(`'${entry.path}' is missing`);
    else differences.push(...differingFields(entry, other));
  }
  return [...differences, ...[...seen.keys()].map((path) => `'${path}' should not be there`)];
}

function differingFields(expected: LiveEntry, found: LiveEntry): readonly string[] {
  const fields = expected.type === 'file' ? [...compared, 'size', 'nlink'] as const : compared;
  return fields
    .map((field) => ({ field, want: JSON.stringify(expected[field], sortedKeys), got: JSON.stringify(found[field], sortedKeys) }))
    .filter(({ want, got }) => want !== got)
    .map(({ field, want, got }) => `'${expected.path}' ${field}: found '${got}', expected '${want}'`);
}
