/**
 * A seeded tree with what a Linux machine may hold: sizes around Bacula's block and chunk borders, hard links, symlinks,
 * fifos, device nodes, holes, set-id modes, foreign owners, odd times, ACLs, extended attributes, names that are not UTF-8.
 * Needs root.
 */
import { createCipheriv, createHash } from 'node:crypto';
import {
  appendFileSync, chmodSync, chownSync, closeSync, ftruncateSync, linkSync, lutimesSync, mkdirSync, openSync, renameSync, rmSync, symlinkSync,
  truncateSync, unlinkSync, utimesSync, writeFileSync, writeSync,
} from 'node:fs';
import path from 'node:path';
import { runTool } from './tool.ts';

/** Reproducible bytes and numbers from a 32-bit seed. */
export class SeededBytes {
  readonly #stream: ReturnType<typeof createCipheriv>;

  constructor(seed: number) {
    this.#stream = createCipheriv('aes-256-ctr', createHash('sha256').update(`holdfast lab ${seed}`).digest(), Buffer.alloc(16));
  }

  /** Incompressible. */
  bytes(length: number): Buffer {
    return this.#stream.update(Buffer.alloc(length));
  }

  /** 0 … limit − 1, limit at most 2^32. */
  below(limit: number): number {
    return Math.floor((this.bytes(4).readUInt32BE() / 2 ** 32) * limit);
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }

  /** Compressible: short words. */
  text(length: number): Buffer {
    const words: string[] = [];
    for (let size = 0; size < length; ) {
      const word = this.pick(['oak', 'pine', 'elm', 'ash', 'birch', 'maple', 'willow', 'larch']) + this.pick([' ', ' ', ' ', '\n']);
      words.push(word);
      size += word.length;
    }
    return Buffer.from(words.join('').slice(0, length));
  }
}

/** Sizes next to Bacula's limits: block header, default block, 64 KiB read, sparse chunk of 64 KiB − 8. */
const borderSizes = [
  0, 1, 23, 24, 32, 4095, 4096, 64_487, 64_488, 64_489, 64_511, 64_512, 64_513, 65_527, 65_528, 65_529, 65_535, 65_536, 65_537, 131_056, 131_072,
];
const modes = [0o644, 0o600, 0o755, 0o4711, 0o2755, 0o1644, 0o000, 0o200];
const owners = [0, 1, 33, 1000, 65_534, 4_294_967_290];
const names: readonly (string | Buffer)[] = [
  Buffer.from([0x80, 0xff, 0x41]), 'line\nbreak', 'tab\t', 'trailing ', ' leading', 'quote"\'`$(x)', 'back\\slash', '-rf',
  'caf\u00e9', 'cafe\u0301', '\u65e5\u672c\u8a9e', '...', 'n'.repeat(255),
];

/** Joins bytes, so that names which are not UTF-8 survive. */
function child(root: string, name: string | Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${root}/`), Buffer.from(name)]);
}

function put(file: Buffer | string, content: Buffer, random: SeededBytes, mode = 0o644): void {
  mkdirSync(path.dirname(file.toString('latin1')), { recursive: true });
  writeFileSync(file, content);
  const owner = random.pick(owners);
  chownSync(file, owner, random.pick(owners));
  chmodSync(file, mode);
  const time = 1_000_000_000 + random.below(700_000_000);
  utimesSync(file, time, time + 0.25);
}

/** A file of `size` bytes that occupies only the given pieces. */
function putSparse(file: string, size: number, pieces: readonly (readonly [offset: number, content: Buffer])[]): void {
  mkdirSync(path.dirname(file), { recursive: true });
  const handle = openSync(file, 'w');
  for (const [offset, content] of pieces) writeSync(handle, content, 0, content.length, offset);
  ftruncateSync(handle, size);
  closeSync(handle);
}

/** Regular files only: `count` mixed ones of up to `sizeMax` bytes, plus one of each border size. Directories are made as needed. */
export function growFiles(root: string, random: SeededBytes, count: number, sizeMax: number): void {
  for (const size of borderSizes) put(`${root}/border/size-${size}`, random.bytes(size), random);
  for (let i = 0; i < count; i += 1) {
    const folder = ['', 'a', 'a/b', 'c', 'c/d/e/f'][random.below(5)] ?? '';
    const size = random.below(sizeMax);
    put(path.join(root, folder, `mixed-${i}`), random.below(2) === 0 ? random.bytes(size) : random.text(size), random, random.pick(modes));
  }
}

/** Everything that is not simply a file; see the module's comment. */
export async function growSpecials(root: string, random: SeededBytes): Promise<void> {
  mkdirSync(`${root}/names`);
  for (const name of names) put(child(`${root}/names`, name), random.text(random.below(3000)), random);
  put(`${root}/links/first`, random.text(90_000), random);
  mkdirSync(`${root}/links/far/away`, { recursive: true });
  for (const name of ['links/second', 'links/far/away/third', 'AAA-before-all']) linkSync(`${root}/links/first`, `${root}/${name}`);
  const targets: readonly (readonly [string, string | Buffer])[] = [
    ['relative', 'first'], ['dangling', '/nowhere/at/all'], ['raw', Buffer.from([0xff, 0xfe])], ['long', 't'.repeat(3000)],
  ];
  for (const [name, target] of targets) {
    symlinkSync(target, `${root}/links/${name}`);
    lutimesSync(`${root}/links/${name}`, 1_111_111_111, 1_222_222_222);
  }
  await runTool(['mkfifo', '-m', '640', `${root}/fifo`]);
  await runTool(['mknod', '-m', '660', `${root}/character`, 'c', '1', '3']);
  await runTool(['mknod', '-m', '660', `${root}/block`, 'b', '7', '300']);
  putSparse(`${root}/holes/start`, 5_000_000, [[4_100_013, random.bytes(3333)]]);
  putSparse(`${root}/holes/middle`, 6_300_001, [[0, random.text(70_000)], [6_291_455, random.bytes(65)]]);
  putSparse(`${root}/holes/all`, 65_528 * 3, []);
  putSparse(`${root}/holes/all-and-one`, 65_528 * 2 + 1, []);
  put(`${root}/holes/written-zeroes`, Buffer.alloc(200_000), random);
  await growMetadata(root, random);
  mkdirSync(`${root}/empty-directory`);
  chmodSync(`${root}/empty-directory`, 0o3751);
  for (const [name, time] of [['epoch', 0], ['before-epoch', -86_400], ['after-2038', 2_147_483_648]] as const) {
    put(`${root}/times/${name}`, Buffer.from(name), random);
    // Not utimes: Node takes times before 1970 as now.
    await runTool(['touch', '-d', `@${time}`, `${root}/times/${name}`]);
  }
}

async function setAttribute(file: string, name: string, value: Buffer): Promise<void> {
  await runTool(['setfattr', '-n', name, '-v', `0x${value.toString('hex')}`, file]);
}

async function growMetadata(root: string, random: SeededBytes): Promise<void> {
  put(`${root}/acl/file`, random.text(50), random);
  mkdirSync(`${root}/acl/directory`);
  await runTool(['setfacl', '-m', 'u:33:rw,u:65534:---,g:1:rx,m::rwx', `${root}/acl/file`]);
  await runTool(['setfacl', '-m', 'u:1:rwx,d:u:33:rwx,d:g:4:r,d:o::-', `${root}/acl/directory`]);
  put(`${root}/xattr/many`, random.text(10), random);
  for (let i = 0; i < 12; i += 1) await setAttribute(`${root}/xattr/many`, `user.k${i}`, random.bytes(random.below(50)));
  put(`${root}/xattr/large`, random.bytes(70_000), random);
  await setAttribute(`${root}/xattr/large`, 'user.large', random.bytes(3000));
  await runTool(['setfattr', '-h', '-n', 'trusted.on-link', '-v', 'yes', `${root}/links/dangling`]);
}

/** What the tree goes through before an Incremental: deleted, new, grown, shrunk, moved, mode only, type changed, links re-made. */
export function changeTree(root: string, random: SeededBytes): void {
  unlinkSync(`${root}/border/size-1`);
  rmSync(`${root}/holes`, { recursive: true });
  put(`${root}/new/deep/file`, random.text(5000), random);
  appendFileSync(`${root}/border/size-65536`, random.bytes(70_001));
  truncateSync(`${root}/border/size-131072`, 17);
  renameSync(`${root}/border/size-65535`, `${root}/new/moved`);
  chmodSync(`${root}/border/size-4096`, 0o4500);
  unlinkSync(`${root}/border/size-64513`);
  symlinkSync('size-64512', `${root}/border/size-64513`);
  unlinkSync(`${root}/AAA-before-all`);
  unlinkSync(`${root}/links/second`);
  put(`${root}/links/second`, random.text(123), random);
  unlinkSync(`${root}/fifo`);
}
