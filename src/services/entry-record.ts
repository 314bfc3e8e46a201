/** One entry as `ls`, `stat` and `diff` tell it: the JSON fields and the line for people. */
import { textOf, isUtf8, type FileTree, type NodeStat, type NodeType } from '../core/index.ts';
import { formatPathText, jsonPath } from './locations/path-text.ts';
import { digestOf, type DigestName } from './trees/content.ts';
import type { WalkEntry } from './trees/walk.ts';

/** Names of node types in JSON. */
export type TypeName = 'file' | 'dir' | 'symlink' | 'fifo' | 'chr' | 'blk' | 'sock';

const typeNames: Readonly<Record<NodeType, TypeName>> = {
  file: 'file', directory: 'dir', symlink: 'symlink', fifo: 'fifo', character: 'chr', block: 'blk', socket: 'sock',
};
const typeLetters: Readonly<Record<NodeType, string>> = {
  file: '-', directory: 'd', symlink: 'l', fifo: 'p', character: 'c', block: 'b', socket: 's',
};

/** Fields of an entry in JSON. `mode` holds the permission bits, `mtime` whole seconds (rounded down), `mtimeNs` all nanoseconds. */
export interface EntryRecord {
  readonly path: string;
  readonly pathBase64?: string;
  readonly type: TypeName;
  readonly size: number;
  readonly mode: number;
  readonly modeOctal: string;
  readonly mtime: number;
  readonly mtimeNs: string;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly target?: string;
  readonly targetBase64?: string;
  readonly rdev?: readonly [number, number];
  /** Names, or with values asked for: name to base64. */
  readonly xattrs?: readonly string[] | Readonly<Record<string, string>>;
  readonly sha256?: string;
  readonly md5?: string;
}

/** What to tell beyond metadata. */
export interface RecordOptions {
  readonly digest?: DigestName | undefined;
  /** Values of extended attributes, not only their names. */
  readonly xattrs?: boolean | undefined;
  /** False leaves extended attributes out, where nobody sees them: asking for them costs as much as all the rest. */
  readonly attributes?: boolean | undefined;
}

/** Short name of a node type. */
export function typeName(type: NodeType): TypeName {
  return typeNames[type];
}

/** Describes an entry; reads its content only for a digest. @throws what the tree throws. */
export async function entryRecord(tree: FileTree, entry: WalkEntry, options: RecordOptions = {}): Promise<EntryRecord> {
  const { stat } = entry;
  const attributes = tree.supports.attributes && options.attributes !== false ? await tree.attributes(entry.id) : new Map<string, Uint8Array>();
  return {
    ...(entry.path.length === 0 ? { path: '/' } : jsonPath(entry.path)),
    type: typeNames[stat.type],
    size: stat.size,
    mode: stat.mode,
    modeOctal: `0${stat.mode.toString(8).padStart(3, '0')}`,
    mtime: stat.modified.seconds,
    mtimeNs: String(BigInt(stat.modified.seconds) * 1_000_000_000n + BigInt(stat.modified.nanoseconds)),
    uid: stat.uid,
    gid: stat.gid,
    nlink: stat.links,
    ...(stat.type === 'symlink' ? targetFields(await tree.readLink(entry.id)) : {}),
    ...(stat.deviceMajor === undefined || (stat.type !== 'character' && stat.type !== 'block') ? {} : { rdev: [stat.deviceMajor, stat.deviceMinor ?? 0] as const }),
    ...(attributes.size === 0 ? {} : { xattrs: attributeField(attributes, options.xattrs === true) }),
    ...(options.digest === undefined || stat.type !== 'file' ? {} : { [options.digest]: await contentDigest(tree, entry, options.digest) }),
  };
}

function targetFields(target: Uint8Array): { readonly target: string; readonly targetBase64?: string } {
  return isUtf8(target) ? { target: textOf(target) } : { target: textOf(target), targetBase64: Buffer.from(target).toString('base64') };
}

function attributeField(attributes: ReadonlyMap<string, Uint8Array>, values: boolean): readonly string[] | Readonly<Record<string, string>> {
  if (!values) return [...attributes.keys()];
  return Object.fromEntries([...attributes].map(([name, value]) => [name, Buffer.from(value).toString('base64')]));
}

async function contentDigest(tree: FileTree, entry: WalkEntry, name: DigestName): Promise<string> {
  const source = await tree.open(entry.id);
  try {
    return await digestOf(source, name);
  } finally {
    await source.close();
  }
}

/** `rwxr-xr-x` with set-id and sticky letters. */
export function formatMode(stat: NodeStat): string {
  let text = typeLetters[stat.type];
  for (const [shift, special, letter] of [[6, 0o4000, 's'], [3, 0o2000, 's'], [0, 0o1000, 't']] as const) {
    const bits = (stat.mode >> shift) & 7;
    const execute = (bits & 1) !== 0;
    const last = (stat.mode & special) !== 0 ? (execute ? letter : letter.toUpperCase()) : execute ? 'x' : '-';
    text += `${(bits & 4) !== 0 ? 'r' : '-'}${(bits & 2) !== 0 ? 'w' : '-'}${last}`;
  }
  return text;
}

/** The line of `ls -l`; times in UTC. `shown` is the name or path to print. */
export function longLine(record: EntryRecord, stat: NodeStat, shown: Uint8Array): string {
  const size = record.rdev === undefined ? String(record.size) : record.rdev.join(', ');
  const target = record.target === undefined ? '' : ` -> ${formatPathText(Buffer.from(record.targetBase64 ?? record.target, record.targetBase64 === undefined ? 'utf8' : 'base64'))}`;
  const digest = record.sha256 ?? record.md5;
  return [
    formatMode(stat), String(record.nlink).padStart(3), String(record.uid).padStart(5), String(record.gid).padStart(5), size.padStart(12),
    formatTime(record.mtime), ...(digest === undefined ? [] : [digest]), `${formatPathText(shown)}${target}`,
  ].join(' ');
}

/** `2026-11-20 12:34:56`, UTC; plain seconds where a date can't say it. */
export function formatTime(seconds: number): string {
  const date = new Date(seconds * 1_000);
  return Number.isNaN(date.getTime()) ? `@${seconds}` : date.toISOString().slice(0, 19).replace('T', ' ');
}
