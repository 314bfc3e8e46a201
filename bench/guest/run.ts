/**
 * Entry of `npm run bench:guest [-- --rounds=N | --quick]`: reading and listing inside large disks of guests against qemu, mounts and `fls`, in turns.
 * Needs root, `time`, qemu-img, e2fsprogs and sleuthkit; XFS and NTFS are left out, and named, where xfsprogs or ntfs-3g is absent.
 * Writes `bench/results/guest.md` and `.json`; `--quick` is tiny and writes nothing.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import * as path from 'node:path';
import { fileURLToPath } from 'node:url';
import { makeDisk, missingTool, runTool, withMount, type Container, type Family, type GuestDisk, type Sizes } from './disk.ts';
import { measureProgram, slowestOf, sumOf, type Figures } from './program.ts';
import { renderGuest, type GuestReport } from './report.ts';

const ROLE = fileURLToPath(new URL('./role.js', import.meta.url));
const COMMAND = fileURLToPath(new URL('../../cli/holdfast.cjs', import.meta.url));
const RESULTS = new URL('../../../bench/results/', import.meta.url);
const MIB = 1 << 20;
const FULL: Sizes = { diskBytes: 200 * 1024 * MIB, largeBytes: 1024 * MIB, directories: 100, filesEach: 1000 };
const QUICK: Sizes = { diskBytes: 4 * 1024 * MIB, largeBytes: 32 * MIB, directories: 5, filesEach: 100 };
const READERS = 4;

/** The containers of each family: all for the first, one for the others. */
const CONTAINERS: readonly (readonly [Family, readonly Container[]])[] = [['ext4', ['vhdx', 'qcow2']], ['xfs', ['vhdx']], ['ntfs', ['vhdx']]];

/** Runs of everything, by what ran. */
class Measurements {
  readonly work: string;
  readonly sizes: Sizes;
  readonly rounds = new Map<string, Figures[]>();

  constructor(work: string, sizes: Sizes) {
    this.work = work;
    this.sizes = sizes;
  }

  add(what: string, figures: Figures): void {
    const all = this.rounds.get(what) ?? [];
    all.push(figures);
    this.rounds.set(what, all);
    console.log(`${what}: ${figures.seconds.toFixed(3)} s`);
  }

  /** Our library in a process of its own. */
  async role(role: 'read' | 'first' | 'again', file: string): Promise<Figures> {
    const bytes = role === 'read' ? this.sizes.largeBytes : 4096;
    return (await measureProgram(this.work, [process.execPath, ROLE, role, `${file}::/large`], (output) => {
      const found = JSON.parse(output) as { seconds: number; bytes: number };
      if (found.bytes !== bytes) throw new Error(`Read '${file}': '${found.bytes}' bytes, expected '${bytes}'`);
      return found.seconds;
    })).figures;
  }

  /** As many bytes of the same image, read by qemu with `depth` requests at once. */
  async qemu(disk: GuestDisk, container: Container, depth: number): Promise<Figures> {
    const parts: Figures[] = [];
    for (const { offset, length } of disk.runs) {
      const words = ['-f', container, '-c', String(length / MIB), '-d', String(depth), '-s', String(MIB), '-o', String(offset), disk.files.get(container) ?? ''];
      parts.push((await measureProgram(this.work, ['qemu-img', 'bench', ...words], (output) => Number(/completed in ([\d.]+) seconds/.exec(output)?.[1]))).figures);
    }
    return sumOf(parts);
  }

  async list(what: string, command: readonly string[]): Promise<void> {
    const { figures, output } = await measureProgram(this.work, command);
    const found = output.match(/file-\d+-\d+\.txt/g)?.length;
    const expected = this.sizes.directories * this.sizes.filesEach;
    if (found !== expected) throw new Error(`Run '${command.join(' ')}': '${String(found)}' files, expected '${expected}'`);
    this.add(`list, ${what}`, figures);
  }
}

/** Reads each image whole, which warms the page cache, and compares: a fast read of wrong bytes is none. */
async function verify(work: string, disk: GuestDisk): Promise<void> {
  for (const file of disk.files.values()) {
    const { output } = await measureProgram(work, [process.execPath, ROLE, 'digest', `${file}::/large`]);
    if (output.trim() !== disk.sha256) throw new Error(`Read '/large' in '${file}': SHA-256 '${output.trim()}', expected '${disk.sha256}'`);
  }
}

async function readRound(all: Measurements, disk: GuestDisk, mounted: string): Promise<void> {
  for (const [container, file] of disk.files) {
    const what = `${disk.family} in ${container}`;
    // Kernels may reclaim what nobody has read for a while; the first reader of a round would then be the one that reads the disk. The raw one is warm by the mount.
    if (container !== 'raw') await measureProgram(all.work, ['dd', `if=${file}`, 'of=/dev/null', 'bs=1M', 'status=none']);
    all.add(`read, ${what}, holdfast`, await all.role('read', file));
    all.add(`read, ${what}, qemu-img bench`, await all.qemu(disk, container, 1));
    all.add(`read, ${what}, qemu-img bench, 8 at once`, await all.qemu(disk, container, 8));
  }
  all.add(`read, ${disk.family} mounted, dd`, (await measureProgram(all.work, ['dd', `if=${path.join(mounted, 'large')}`, 'of=/dev/null', 'bs=1M', 'status=none'])).figures);
}

async function listRound(all: Measurements, disk: GuestDisk): Promise<void> {
  const raw = disk.files.get('raw') ?? '';
  for (const [container, file] of disk.files) {
    await all.list(`${disk.family} in ${container}, holdfast ls -R`, [process.execPath, COMMAND, 'ls', '-R', `${file}::/`]);
    await all.list(`${disk.family} in ${container}, holdfast ls -l -R`, [process.execPath, COMMAND, 'ls', '-l', '-R', `${file}::/`]);
  }
  // fls knows no XFS.
  if (disk.family === 'xfs') return;
  await all.list(`${disk.family} in raw, fls -r`, ['fls', '-r', '-f', disk.family, raw]);
  await all.list(`${disk.family} in raw, fls -l -r`, ['fls', '-l', '-r', '-f', disk.family, raw]);
}

async function roundOf(all: Measurements, disk: GuestDisk): Promise<void> {
  const raw = disk.files.get('raw') ?? '';
  await withMount(all.work, { family: disk.family, raw }, 'ro', async (mounted) => {
    await measureProgram(all.work, ['dd', `if=${path.join(mounted, 'large')}`, 'of=/dev/null', 'bs=1M', 'status=none']);
    await readRound(all, disk, mounted);
  });
  await listRound(all, disk);
  for (const [container, file] of disk.files) {
    if (container === 'raw') continue;
    all.add(`first, ${disk.family} in ${container}, holdfast, library`, await all.role('first', file));
    all.add(`first, ${disk.family} in ${container}, holdfast, library, modules loaded`, await all.role('again', file));
    all.add(`first, ${disk.family} in ${container}, holdfast cat`, (await measureProgram(all.work, [process.execPath, COMMAND, 'cat', '--length', '4096', `${file}::/large`])).figures);
  }
  if (disk.family !== 'ext4') return;
  const vhdx = disk.files.get('vhdx') ?? '';
  const several = <T>(one: () => Promise<T>): Promise<readonly T[]> => Promise.all(Array.from({ length: READERS }, one));
  all.add(`several, ext4 in vhdx, holdfast, ${READERS} processes`, slowestOf(await several(() => all.role('read', vhdx))));
  all.add(`several, ext4 in vhdx, qemu-img bench, ${READERS} processes`, slowestOf(await several(() => all.qemu(disk, 'vhdx', 1))));
}

function bytesBelow(directory: string): number {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).reduce((sum, name) => sum + statSync(path.join(directory, name)).size, 0);
}

async function measureAll(work: string, sizes: Sizes, rounds: number): Promise<GuestReport> {
  mkdirSync(path.join(work, 'cache'));
  const all = new Measurements(work, sizes);
  const disks: GuestDisk[] = [];
  const left: string[] = [];
  for (const [family, containers] of CONTAINERS) {
    const missing = missingTool(family);
    if (missing !== undefined) left.push(`${family}: no '${missing}'`);
    else disks.push(await makeDisk(work, family, containers, sizes));
  }
  for (const disk of disks) await verify(work, disk);
  const loadAverage = loadavg();
  for (let i = 0; i < rounds; i += 1) for (const disk of disks) await roundOf(all, disk);
  const machine = { cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: cpus().length, node: process.version, qemu: runTool(['qemu-img', '--version']).split('\n')[0] ?? '', fls: runTool(['fls', '-V']).trim() };
  return { machine, loadAverage: { before: loadAverage, after: loadavg() }, sizes, readers: READERS, left, cacheBytes: bytesBelow(path.join(work, 'cache')), rounds: Object.fromEntries(all.rounds) };
}

const isQuick = process.argv.includes('--quick');
const count = Number(/^--rounds=(\d+)$/.exec(process.argv.find((word) => word.startsWith('--rounds=')) ?? '')?.[1] ?? (isQuick ? 1 : 3));
if (process.getuid?.() !== 0) throw new Error('Measure guests: mounting needs root');
const work = mkdtempSync(path.join(process.env['TMPDIR'] ?? tmpdir(), 'holdfast-bench-guest-'));
try {
  const report = await measureAll(work, isQuick ? QUICK : FULL, count);
  console.log(`\n${renderGuest(report)}`);
  if (!isQuick) {
    writeFileSync(new URL('guest.json', RESULTS), `${JSON.stringify(report, undefined, 1)}\n`);
    writeFileSync(new URL('guest.md', RESULTS), renderGuest(report));
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
