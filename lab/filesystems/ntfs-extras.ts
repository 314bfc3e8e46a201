/** What only NTFS has, made through ntfs-3g mounted with `streams_interface=windows` and `compression`: for trees that are compared afterwards. */
import * as fs from 'node:fs';
import path from 'node:path';
import { runTool } from '../images/tools.ts';
import { below, pick, randomBytes, type Random } from './random-name.ts';
import { overlayFile, WOF_ALGORITHMS } from './wof-writer.ts';

const KIB = 1 << 10;
/** [MS-FSCC] 2.1.2.1. */
const TAG = { mountPoint: 0xa000_0003, symlink: 0xa000_000c } as const;
const COMPRESSED_DIRECTORY = '0x00000810';

/** Content that compresses in parts: text, noise, zeroes, machine-code-like calls. */
function mixedContent(random: Random, bytes: number): Buffer {
  const parts: Buffer[] = [];
  for (let left = bytes; left > 0;) {
    const length = Math.min(left, 1 + below(random, 40 * KIB));
    const line = `line ${below(random, 1000)} of ${below(random, 9)}\r\n`;
    const kinds = [() => Buffer.from(line.repeat(Math.ceil(length / line.length))), () => randomBytes(random, length), () => Buffer.alloc(length), () => Buffer.alloc(length, Buffer.of(0xe8, below(random, 256), below(random, 256), 0, 0, 0x90))];
    parts.push(pick(random, kinds)().subarray(0, length));
    left -= length;
  }
  return Buffer.concat(parts);
}

function setReparse(file: string, tag: number, body: Buffer): void {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(tag, 0);
  head.writeUInt16LE(body.length, 4);
  runTool('.', 'setfattr', ['-n', 'system.ntfs_reparse_data', '-v', `0x${Buffer.concat([head, body]).toString('hex')}`, file]);
}

/** Substitute and print name with their places; symbolic links have a word of flags before the names. */
function linkBody(substitute: string, print: string, flags: Buffer): Buffer {
  const names = [Buffer.from(substitute, 'utf16le'), Buffer.from(print, 'utf16le')] as const;
  const head = Buffer.alloc(8);
  head.writeUInt16LE(0, 0);
  head.writeUInt16LE(names[0].length, 2);
  head.writeUInt16LE(names[0].length + 2, 4);
  head.writeUInt16LE(names[1].length, 6);
  return Buffer.concat([head, flags, names[0], Buffer.alloc(2), names[1], Buffer.alloc(2)]);
}

/** Named streams of files and directories, small and large; their content by `path:name`: the kernel's attributes end at 64 KiB. */
export function addStreams(directory: string, random: Random): ReadonlyMap<string, Buffer> {
  const folder = path.join(directory, 'streams');
  fs.mkdirSync(folder);
  const contents = new Map<string, Buffer>();
  for (let i = 0; i < 6; i += 1) {
    const file = path.join(folder, `with-${i}`);
    if (i % 3 === 0) fs.mkdirSync(file);
    else fs.writeFileSync(file, `main ${i}`);
    for (const [name, bytes] of [['Zone.Identifier', 26], ['ünï-流', below(random, 3000)], ['empty', 0], ['large', 64 * KIB + below(random, 90 * KIB)]] as const) {
      const content = randomBytes(random, bytes);
      fs.writeFileSync(`${file}:${name}`, content);
      contents.set(`streams/with-${i}:${name}`, content);
    }
  }
  return contents;
}

/** Files in a directory that compresses: rewritten, with holes, appended to. Only clusters of up to 4 KiB can. */
export function addCompressed(directory: string, random: Random): void {
  const folder = path.join(directory, 'compressed');
  fs.mkdirSync(folder);
  runTool('.', 'setfattr', ['-n', 'system.ntfs_attrib_be', '-v', COMPRESSED_DIRECTORY, folder]);
  for (let i = 0; i < 8; i += 1) {
    const file = path.join(folder, `packed-${i}`);
    fs.writeFileSync(file, mixedContent(random, below(random, 300 * KIB)));
    if (i % 2 === 0) fs.appendFileSync(file, mixedContent(random, below(random, 100 * KIB)));
    if (i % 3 === 0) fs.truncateSync(file, fs.statSync(file).size + below(random, 200 * KIB));
  }
}

/** One record with more names and runs than fit into it. */
export function addAttributeList(directory: string, random: Random): void {
  const folder = path.join(directory, 'lists');
  fs.mkdirSync(folder);
  const file = path.join(folder, 'base');
  fs.writeFileSync(file, randomBytes(random, 5000));
  for (let i = 0; i < 30 + below(random, 30); i += 1) fs.linkSync(file, path.join(folder, `${String(i).padStart(3, '0')}-${'n'.repeat(180)}`));
  const pieces = [fs.openSync(path.join(folder, 'even'), 'w'), fs.openSync(path.join(folder, 'odd'), 'w')] as const;
  for (let i = 0; i < 400; i += 1) fs.writeSync(pieces[i % 2] as number, randomBytes(random, 4 * KIB));
  for (const fd of pieces) fs.closeSync(fd);
}

/** Links of Windows in `links`: relative and absolute, of files and directories, and where each leads from the top of the volume. */
export function addWindowsLinks(directory: string): ReadonlyMap<string, string> {
  const at = (...parts: readonly string[]): string => path.join(directory, ...parts);
  fs.mkdirSync(at('Target Dir', 'Sub'), { recursive: true });
  fs.writeFileSync(at('Target Dir', 'File.txt'), 'target');
  fs.mkdirSync(at('links', 'deep'), { recursive: true });
  const relative = Buffer.of(1, 0, 0, 0);
  const absolute = Buffer.alloc(4);
  fs.writeFileSync(at('links', 'relative'), '');
  setReparse(at('links', 'relative'), TAG.symlink, linkBody('..\\target dir\\FILE.txt', '..\\x', relative));
  fs.writeFileSync(at('links', 'deep', 'absolute'), '');
  setReparse(at('links', 'deep', 'absolute'), TAG.symlink, linkBody('\\??\\C:\\Target Dir\\File.txt', 'C:\\x', absolute));
  fs.mkdirSync(at('links', 'deep', 'junction'));
  setReparse(at('links', 'deep', 'junction'), TAG.mountPoint, linkBody('\\??\\C:\\target dir\\sub', 'C:\\target dir\\sub', Buffer.alloc(0)));
  return new Map([['links/relative', 'Target Dir/File.txt'], ['links/deep/absolute', 'Target Dir/File.txt'], ['links/deep/junction', 'Target Dir/Sub']]);
}

/** Files that WOF compressed, with all algorithms; their content by path, since ntfs-3g alone cannot show it. */
export function addOverlayFiles(directory: string, random: Random): ReadonlyMap<string, Buffer> {
  const folder = path.join(directory, 'overlay');
  fs.mkdirSync(folder);
  const contents = new Map<string, Buffer>();
  for (let algorithm = 0; algorithm < WOF_ALGORITHMS; algorithm += 1) {
    for (const bytes of [1, 4096, 32_769, 1 + below(random, 200 * KIB)]) {
      const name = `a${algorithm}-${bytes}`;
      const content = mixedContent(random, bytes);
      fs.writeFileSync(path.join(folder, name), content);
      overlayFile(path.join(folder, name), algorithm);
      contents.set(`overlay/${name}`, content);
    }
  }
  return contents;
}
