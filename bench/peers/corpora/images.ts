/**
 * An ext4 disk image and five later states of it. Edits go through debugfs, so neither root nor a loop device is needed:
 * files deleted, replaced by a changed copy, grown and added. Times, UUID and hash seed are fixed.
 */
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ToolError } from '../../../src/core/index.ts';
import { run } from '../measure.ts';
import type { CorpusSizes } from '../options.ts';
import type { Corpus } from './corpus.ts';
import { Keystream } from './keystream.ts';
import { dumpRow } from './logs.ts';

const UUID = '5e0d1c0a-6c1b-4d8e-9a52-0f0f0f0f0f0f';
/** Share of the image that files take at first; the rest is free space, as in a real machine. */
const FILL = 0.6;
const FILE_BYTES_MAX = 16 << 20;
const EDITED_SHARE = 0.02;
/** Each version brings in four new files of about this share of the image. */
const ADDED_SHARE = 1 / 1500;

interface Entry {
  /** Path inside the image, no leading slash. */
  readonly path: string;
  readonly bytes: number;
}

const ENV = {
  PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
  LANG: 'C',
  E2FSPROGS_FAKE_TIME: '1600000000',
};

/** Copies files of /usr/bin and /usr/share, half of `budget` each, into `staging`. */
function fillStaging(staging: string, budget: number): Entry[] {
  const entries: Entry[] = [];
  for (const root of ['usr/bin', 'usr/share']) {
    let left = budget / 2;
    for (const path of regularFiles(root)) {
      const bytes = statSync(`/${path}`).size;
      if (bytes > FILE_BYTES_MAX || bytes > left) continue;
      mkdirSync(dirname(join(staging, path)), { recursive: true });
      copyFileSync(`/${path}`, join(staging, path));
      entries.push({ path, bytes });
      // each file also takes an inode and part of a block
      left -= Math.ceil(bytes / 4096) * 4096 + 256;
      if (left < 4096) break;
    }
  }
  return entries;
}

function* regularFiles(directory: string): Generator<string> {
  const entries = readdirSync(`/${directory}`, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = `${directory}/${entry.name}`;
    // debugfs splits its command lines at blanks
    if (/[\s"]/.test(entry.name)) continue;
    if (entry.isDirectory()) yield* regularFiles(path);
    else if (entry.isFile()) yield path;
  }
}

async function makeImage(image: string, staging: string, bytes: number): Promise<void> {
  writeFileSync(image, '');
  truncateSync(image, bytes);
  const fixed = ['-U', UUID, '-E', `hash_seed=${UUID},root_owner=0:0,lazy_itable_init=0`, '-L', 'bench'];
  await run([{ argv: ['mke2fs', '-q', '-F', '-t', 'ext4', '-b', '4096', '-m', '0', ...fixed, '-d', staging, image], env: ENV }]);
}

/** Writes the files that one version brings in and returns its debugfs script. Removes deleted entries from `entries`. */
function planEdits(version: number, entries: Entry[], scratch: string, addedBytes: number): string[] {
  const random = new Keystream(`holdfast bench images ${version}`);
  const lines: string[] = [];
  const put = (content: Buffer, path: string): void => {
    const local = join(scratch, `e${lines.length}`);
    writeFileSync(local, content);
    lines.push(`write ${local} /${path}`);
  };
  for (let edits = Math.ceil(entries.length * EDITED_SHARE); edits > 0; edits--) {
    const at = random.below(entries.length);
    const entry = entries[at];
    if (entry === undefined) continue;
    lines.push(`rm /${entry.path}`);
    const kind = random.below(3);
    if (kind === 0) {
      entries.splice(at, 1);
      continue;
    }
    const old = readFileSync(`/${entry.path}`);
    const cut = kind === 1 ? random.below(old.length + 1) : old.length;
    put(Buffer.concat([old.subarray(0, cut), Buffer.from(dumpRow(random.below(2 ** 32))), old.subarray(cut)]), entry.path);
  }
  for (let added = 0; added < 4; added++) {
    const rows = Array.from({ length: Math.ceil(addedBytes / 136) }, () => dumpRow(random.below(2 ** 32))).join('');
    put(added % 2 === 0 ? Buffer.from(rows) : random.bytes(addedBytes), `new-${version}-${added}`);
  }
  return lines;
}

async function applyEdits(image: string, lines: readonly string[], scratch: string): Promise<void> {
  const script = join(scratch, 'script');
  writeFileSync(script, `${lines.join('\n')}\n`);
  // debugfs ends with 0 whatever happened: anything it prints besides its own echo is a failed edit.
  const debugfs = 'debugfs -w -f "$1" "$2" 2>&1 | grep -v -e "^debugfs" -e "^Allocated inode" || true';
  const complaints = await run([{ argv: ['bash', '-c', debugfs, 'bash', script, image], env: ENV }]);
  if (complaints.trim() !== '') throw new ToolError(`Edit '${image}' with debugfs: ${complaints.trim().slice(0, 300)}`);
  await run([{ argv: ['e2fsck', '-f', '-n', image], env: ENV }]);
}

async function build(directories: readonly string[], sizes: CorpusSizes): Promise<void> {
  const scratch = join(dirname(directories[0] ?? ''), 'scratch');
  const staging = join(scratch, 'root');
  mkdirSync(staging, { recursive: true });
  const entries = fillStaging(staging, sizes.imageBytes * FILL);
  for (const [version, directory] of directories.entries()) {
    const image = join(directory, 'disk.img');
    if (version === 0) {
      await makeImage(image, staging, sizes.imageBytes);
      continue;
    }
    copyFileSync(join(directories[version - 1] ?? '', 'disk.img'), image);
    await applyEdits(image, planEdits(version, entries, scratch, Math.floor(sizes.imageBytes * ADDED_SHARE)), scratch);
  }
  rmSync(scratch, { recursive: true });
}

/** Depends on what the machine has installed. */
export const imagesCorpus: Corpus = {
  name: 'images',
  description: 'ext4 image of part of /usr and 5 later states, 2 % of the files edited each time',
  versions: 6,
  parameters: (sizes) => ({ bytes: sizes.imageBytes }),
  build,
};
