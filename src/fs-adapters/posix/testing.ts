/** Test helpers: temporary directories, the paths in them, and whole trees compared. */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { readRange, utf8, type FileSink, type FileTree, type NodeId, type NodeMetadata } from '../../core/index.ts';
import { loadCalls } from './load-calls.ts';
import { NodeCalls } from './node-calls.ts';
import type { SystemCalls } from './system-calls.ts';

/** A new directory; `HOLDFAST_TEST_DIRECTORY` chooses the filesystem. */
export function temporaryDirectory(): string {
  return fs.mkdtempSync(path.join(process.env['HOLDFAST_TEST_DIRECTORY'] ?? os.tmpdir(), 'holdfast-posix-'));
}

/** Removes a tree of any depth: `node:fs` cannot where paths are longer than the system takes. */
export function removeDirectory(directory: string): void {
  if (process.geteuid?.() !== 0) execFileSync('chmod', ['-R', 'u+rwx', directory]);
  execFileSync('rm', ['-rf', directory]);
}

/** Both sets of system calls that this machine has; each test runs on each. */
export function callsToTest(): readonly SystemCalls[] {
  const loaded = loadCalls();
  return loaded.capabilities.reason === undefined ? [loaded, new NodeCalls('a test asked for it')] : [loaded];
}

/** Path bytes of text parts. */
export function bytesOf(...parts: readonly string[]): Uint8Array {
  return utf8(parts.join('/'));
}

/** One line for each entry, with everything that a restore keeps; times in units of `timeUnit` nanoseconds. Attributes and content as hexadecimal. */
export async function describeTree(tree: FileTree, timeUnit = 1): Promise<readonly string[]> {
  const lines: string[] = [];
  const first = new Map<NodeId, string>();
  const visit = async (id: NodeId, name: string): Promise<void> => {
    const stat = await tree.stat(id);
    const known = first.get(id);
    if (known !== undefined) {
      lines.push(`${name} = ${known}`);
      return;
    }
    first.set(id, name);
    const attributes = [...await tree.attributes(id)].map(([key, value]) => `${key}=${Buffer.from(value).toString('hex')}`).sort();
    const time = `${stat.modified.seconds}.${Math.floor(stat.modified.nanoseconds / timeUnit) * timeUnit}`;
    const device = stat.type === 'character' || stat.type === 'block' ? `${stat.deviceMajor}:${stat.deviceMinor}` : '';
    const target = stat.type === 'symlink' ? Buffer.from(await tree.readLink(id)).toString('hex') : '';
    const content = stat.type === 'file' ? Buffer.from(await contentOf(tree, id)).toString('hex') : '';
    lines.push([name, stat.type, stat.mode.toString(8), stat.uid, stat.gid, time, device, target, content, ...attributes].join(' '));
    if (stat.type !== 'directory') return;
    for await (const page of tree.list(id)) for (const entry of page) await visit(entry.id, `${name}/${Buffer.from(entry.name).toString('latin1')}`);
  };
  await visit(tree.rootId, '');
  return lines;
}

/** All bytes of a file. */
export async function contentOf(tree: FileTree, id: NodeId): Promise<Uint8Array> {
  const source = await tree.open(id);
  try {
    return await readRange(source, 0, source.size);
  } finally {
    await source.close();
  }
}

/** Restores a tree: the least that a restore service does. */
export async function copyTree(tree: FileTree, sink: FileSink): Promise<void> {
  const first = new Map<NodeId, Uint8Array>();
  const visit = async (id: NodeId, parts: readonly Uint8Array[]): Promise<void> => {
    const at = Buffer.concat(parts.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from('/'), part])));
    const existing = first.get(id);
    if (existing !== undefined) return sink.createHardLink(at, existing);
    first.set(id, at);
    const metadata: NodeMetadata = { stat: await tree.stat(id), attributes: await tree.attributes(id) };
    switch (metadata.stat.type) {
      case 'directory':
        await sink.createDirectory(at, metadata);
        for await (const page of tree.list(id)) for (const entry of page) await visit(entry.id, [...parts, entry.name]);
        return sink.finishDirectory(at, metadata);
      case 'file': return copyFile(tree, id, await sink.createFile(at, metadata));
      case 'symlink': return sink.createSymlink(at, await tree.readLink(id), metadata);
      default: return sink.createSpecial(at, metadata);
    }
  };
  await visit(tree.rootId, []);
}

async function copyFile(tree: FileTree, id: NodeId, file: Awaited<ReturnType<FileSink['createFile']>>): Promise<void> {
  const source = await tree.open(id);
  let verifiedBytes = 0;
  for await (const { kind, offset, length } of source.extents(0, source.size)) {
    if (kind !== 'data') continue;
    await file.writeFrom(offset, await readRange(source, offset, length));
    verifiedBytes += length;
  }
  await file.commit({ size: source.size, verifiedBytes });
  await source.close();
}
