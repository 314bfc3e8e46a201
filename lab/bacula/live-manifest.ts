/**
 * Manifest of a live tree, as `compareTreeWithManifest` wants it: taken with Node's lstat, md5 over a plain read and
 * `getfattr`, so that it shares no code with what it is compared with.
 */
import { createHash } from 'node:crypto';
import { closeSync, lstatSync, openSync, readSync, readdirSync, readlinkSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { type ManifestLine, manifestPath } from '../manifest.ts';
import { runTool } from './tool.ts';

/** A manifest's line with the link count as lstat gave it. */
export interface LiveLine extends ManifestLine {
  readonly nlink: number;
}

const slash = Buffer.from('/');
const nanoseconds = 1_000_000_000n;

function typeOf(stat: BigIntStats): ManifestLine['type'] {
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

/** Text with each byte that is not UTF-8 as a lone surrogate U+DC80 … U+DCFF, as in the corpus' manifests. */
function surrogateText(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  if (Buffer.from(text, 'utf8').equals(bytes)) return text;
  return [...bytes].map((byte) => String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)).join('');
}

/** Linux's split of `st_rdev`: 12 + 20 bits of major, 8 + 24 of minor. Source: makedev(3) and glibc's sys/sysmacros.h layout. */
function deviceNumbers(rdev: bigint): readonly [number, number] {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return [Number(major), Number(minor)];
}

/** Undoes getfattr's `\ooo` quoting; text is latin1. */
function unquoted(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));
}

/** Extended attributes, ACLs included, of all paths below `root`, by path in latin1; values in base64. */
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
      const name = Buffer.from(unquoted(equals < 0 ? line : line.slice(0, equals)), 'latin1').toString('utf8');
      current[name] = equals < 0 ? '' : line.slice(equals + 1).replace(/^0s/, '');
    }
  }
  return found;
}

function describe(path: Buffer, xattr: Record<string, string> | undefined): LiveLine {
  const stat = lstatSync(path, { bigint: true });
  const type = typeOf(stat);
  const text = path.toString('utf8');
  const fraction = ((stat.mtimeNs % nanoseconds) + nanoseconds) % nanoseconds;
  return {
    path: text,
    ...(Buffer.from(text, 'utf8').equals(path) ? {} : { path_b64: path.toString('base64') }),
    type,
    size: Number(stat.size),
    mode: `0o${(stat.mode & 0o7777n).toString(8)}`,
    uid: Number(stat.uid),
    gid: Number(stat.gid),
    mtime: Number((stat.mtimeNs - fraction) / nanoseconds),
    mtime_ns: Number(stat.mtimeNs),
    nlink: Number(stat.nlink),
    ino: Number(stat.ino),
    ...(type === 'file' ? { md5: md5Of(path) } : {}),
    ...(type === 'symlink' ? { target: surrogateText(readlinkSync(path, { encoding: 'buffer' })) } : {}),
    ...(type === 'chr' || type === 'blk' ? { rdev: deviceNumbers(stat.rdev) } : {}),
    ...(xattr === undefined ? {} : { xattr }),
  };
}

/** One line for each path from `root` down, the root first. */
export async function liveManifest(root: string): Promise<readonly LiveLine[]> {
  const attributes = await attributesBelow(root);
  const lines: LiveLine[] = [];
  const open = [Buffer.from(root)];
  for (let path = open.pop(); path !== undefined; path = open.pop()) {
    const line = describe(path, attributes.get(path.toString('latin1')));
    lines.push(line);
    if (line.type !== 'dir') continue;
    for (const name of readdirSync(path, { encoding: 'buffer' })) open.push(Buffer.concat([path, slash, name]));
  }
  return lines;
}

const compared = ['type', 'mode', 'uid', 'gid', 'mtime', 'target', 'rdev'] as const;
const comparedOfFiles = ['size', 'md5', 'nlink'] as const;

function key(line: ManifestLine): string {
  return Buffer.from(manifestPath(line)).toString('latin1');
}

function attributesText(line: ManifestLine): string {
  return Object.entries(line.xattr ?? {}).map(([name, value]) => `${name}=${value}`).sort().join(' ');
}

/** How a copy is compared. */
export interface CopyOptions {
  /** The copy of `/a/b` is expected at `below` + `/a/b`. */
  readonly below: string;
  /** Whether a field may differ: what the tool that restored is known not to restore. */
  readonly ignored?: ((line: LiveLine, field: string) => boolean) | undefined;
}

function fieldDifferences(expected: LiveLine, found: LiveLine, { ignored }: CopyOptions): readonly string[] {
  const fields = expected.type === 'file' ? [...compared, ...comparedOfFiles] : compared;
  const pairs = fields.map((field) => ({ field: field as string, got: JSON.stringify(found[field]), want: JSON.stringify(expected[field]) }));
  pairs.push({ field: 'attributes', got: attributesText(found), want: attributesText(expected) });
  return pairs
    .filter(({ field, got, want }) => got !== want && ignored?.(expected, field) !== true)
    .map(({ field, got, want }) => `'${expected.path}' ${field}: found '${got}', expected '${want}'`);
}

/**
 * Differences between a tree and its restored copy, one text each. Sockets, sizes of directories
 * and fractions of a second are left out: Bacula does not keep them.
 */
export function compareCopies(original: readonly LiveLine[], copy: readonly LiveLine[], options: CopyOptions): readonly string[] {
  const rest = new Map(copy.map((line) => [key(line).slice(Buffer.byteLength(options.below)), line]));
  const differences: string[] = [];
  for (const line of original.filter(({ type }) => type !== 'sock')) {
    const found = rest.get(key(line));
    rest.delete(key(line));
    differences.push(...(found === undefined ? [`'${line.path}' is missing`] : fieldDifferences(line, found, options)));
  }
  return [...differences, ...[...rest.keys()].map((path) => `'${path}' should not be there`)];
}
