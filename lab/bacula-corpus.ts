/**
 * Every folder of a corpus of real Bacula volumes against its manifests, read directly from the volumes, and every damaged
 * volume: its damage is reported at its place, and nothing wrong can be read as good. Folder names mean nothing, except that one
 * with `acl` or `xattr` in its name must hold attributes: what is in a folder says what is compared.
 *
 * Needs: a corpus directory; nothing else.
 */
import { createHash } from 'node:crypto';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type BlockSource, checkRange, defaultLimits, type Extent, HoldfastError, lookupPath, type OpenContext } from '../src/core/index.ts';
import { type BaculaJob, type BaculaVolumeSet, type NameResolver, openVolumeSet, type VolumeInput, type VolumeProblem } from '../src/formats/bacula/index.ts';
import { compareTreeWithManifest, type Difference, type ManifestLine, manifestPath, manifestRoot, md5Of, parseManifest } from './manifest.ts';

/** Where the corpus is and where lines go. */
export interface CorpusContext {
  readonly corpus: string;
  log(line: string): void;
}

/** How many checks held, did not, or could not be made. */
export interface CorpusCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

interface Manifest {
  readonly name: string;
  readonly lines: readonly ManifestLine[];
  readonly atFull: boolean;
}

interface Damage {
  readonly base: string;
  readonly manifest: string;
  readonly block?: number;
  readonly offset?: number;
  readonly removed_offset?: number;
  readonly size?: number;
}

class FileSource implements BlockSource {
  readonly size: number;
  readonly sectorSize = 1;
  readonly #handle: Awaited<ReturnType<typeof open>>;

  constructor(handle: Awaited<ReturnType<typeof open>>, size: number) {
    this.#handle = handle;
    this.size = size;
  }

  static async open(path: string): Promise<FileSource> {
    const handle = await open(path, 'r');
    return new FileSource(handle, (await handle.stat()).size);
  }

  async readInto(offset: number, target: Uint8Array): Promise<void> {
    checkRange(this, offset, target.length, 'file');
    for (let filled = 0; filled < target.length;) {
      const { bytesRead } = await this.#handle.read(target, filled, target.length - filled, offset + filled);
      if (bytesRead === 0) throw new RangeError('the file became shorter');
      filled += bytesRead;
    }
  }

  async *extents(offset: number, length: number): AsyncIterable<Extent> {
    if (length > 0) yield { offset, length, kind: 'data' };
  }

  close(): Promise<void> {
    return this.#handle.close();
  }
}

async function names(directory: string): Promise<readonly string[]> {
  return (await readdir(directory).catch(() => [])).sort();
}

/** Keys of the whole corpus and of the folder: whatever lies there that is no listing, manifest or volume. */
async function keysOf(corpus: string, folder: string): Promise<readonly Uint8Array[]> {
  const shared = (await names(join(corpus, 'keys'))).filter((name) => name.endsWith('.pem') || name.endsWith('.key')).map((name) => join(corpus, 'keys', name));
  const own = (await names(folder)).filter((name) => !/\.(txt|tsv|jsonl|json|bin)$/.test(name)).map((name) => join(folder, name));
  const keys: Uint8Array[] = [];
  for (const path of [...own, ...shared]) if ((await stat(path)).isFile()) keys.push(await readFile(path));
  return keys;
}

/** Names in ACLs by this machine's accounts. */
async function localNames(): Promise<NameResolver> {
  const table = async (path: string): Promise<ReadonlyMap<string, number>> => {
    const rows = (await readFile(path, 'utf8')).split('\n').map((line) => line.split(':'));
    return new Map(rows.map(([name = '', , id = '']) => [name, Number(id)]));
  };
  const users = await table('/etc/passwd');
  const groups = await table('/etc/group');
  return (kind, name) => (kind === 'user' ? users : groups).get(name);
}

async function openVolumes(directory: string, context: OpenContext, resolveName: NameResolver): Promise<BaculaVolumeSet> {
  const inputs: VolumeInput[] = [];
  for (const name of await names(directory)) inputs.push({ name, source: await FileSource.open(join(directory, name)) });
  return openVolumeSet(inputs, context, { order: 'any', resolveName });
}

async function readManifests(folder: string): Promise<readonly Manifest[]> {
  const found: Manifest[] = [];
  for (const name of await names(folder)) {
    const match = /^manifest-(.+?)(-at-full)?\.jsonl$/.exec(name);
    if (match !== null) found.push({ name: match[1] ?? '', lines: parseManifest(await readFile(join(folder, name), 'utf8')), atFull: match[2] !== undefined });
  }
  return found;
}

/** Jobs that the folder is about: rows of its catalog, in the order they ran. */
async function catalogJobs(folder: string, set: BaculaVolumeSet): Promise<readonly BaculaJob[]> {
  const text = await readFile(join(folder, 'catalog-jobs.tsv'), 'utf8').catch(() => '');
  const [head = '', ...rows] = text.split('\n').filter((line) => line !== '');
  const columns = head.split('\t');
  const wanted = new Set(rows.map((row) => {
    const values = row.split('\t');
    return `${values[columns.indexOf('VolSessionId')]}/${values[columns.indexOf('VolSessionTime')]}`;
  }));
  const jobs = set.jobs().filter((job) => wanted.size === 0 || wanted.has(`${job.session.id}/${job.session.time}`));
  return [...jobs].sort((a, b) => a.jobId - b.jobId);
}

class CorpusRun {
  passed = 0;
  failed = 0;
  skipped = 0;
  readonly #context: CorpusContext;
  readonly #resolveName: NameResolver;

  constructor(context: CorpusContext, resolveName: NameResolver) {
    this.#context = context;
    this.#resolveName = resolveName;
  }

  #result(what: string, faults: readonly string[]): void {
    if (faults.length === 0) this.passed += 1;
    else this.failed += 1;
    this.#context.log(`${faults.length === 0 ? 'pass' : 'FAIL'} ${what}${faults.length === 0 ? '' : `: ${faults.length} faults`}`);
    for (const fault of faults.slice(0, 8)) this.#context.log(`     ${fault}`);
  }

  async folder(folder: string): Promise<void> {
    const what = basename(folder);
    const set = await openVolumes(join(folder, 'volumes'), { limits: defaultLimits, keys: await keysOf(this.#context.corpus, folder) }, this.#resolveName);
    try {
      const faults = set.problems().map((problem) => `problem on a good volume: ${problem.kind}: ${problem.message}`);
      for await (const problem of set.verifyContents()) faults.push(`problem in good content: ${problem.kind}: ${problem.message}`);
      this.#result(`${what}: no problems`, faults);
      const jobs = await catalogJobs(folder, set);
      this.#result(`${what}: jobs complete`, jobs.filter((job) => !job.complete).map((job) => `job ${job.jobId} is not complete`));
      const manifests = await readManifests(folder);
      for (const manifest of manifests) {
        const before = manifests.find((other) => other.atFull && other.name === manifest.name);
        await this.#manifest(what, set, jobs, { ...manifest, before: before?.lines ?? [] });
      }
      const stream = await readFile(join(folder, 'expected-stream.bin')).catch(() => undefined);
      if (stream !== undefined) await this.#stream(what, set, jobs, stream);
      else if (manifests.length === 0) this.#skip(`${what}: it has no manifest`);
    } finally {
      await set.close();
    }
  }

  #skip(why: string): void {
    this.skipped += 1;
    this.#context.log(`skip ${why}`);
  }

  async #jobsWith(set: BaculaVolumeSet, jobs: readonly BaculaJob[], root: Uint8Array): Promise<readonly BaculaJob[]> {
    const found: BaculaJob[] = [];
    for (const job of jobs) if (await lookupPath(set.jobTree({ session: job.session }), root) !== undefined) found.push(job);
    return found;
  }

  async #manifest(folder: string, set: BaculaVolumeSet, jobs: readonly BaculaJob[], manifest: Manifest & { readonly before: readonly ManifestLine[] }): Promise<void> {
    const root = manifestRoot(manifest.lines);
    const chain = (await this.#jobsWith(set, jobs, root)).slice(0, manifest.atFull ? 1 : undefined);
    const what = `${folder}: ${manifest.name}${manifest.atFull ? ' at full' : ''} = jobs ${chain.map((job) => job.jobId).join('+')}`;
    if (chain.length === 0) return this.#result(what, ['no job holds the manifest\'s root']);
    const tree = set.chainTree(chain.map((job) => job.jobId));
    const attributes = /acl|xattr/.test(folder) || await this.#hasAttributes(tree, manifest.lines);
    const hardLinks = chain.some((job) => job.hardLinks > 0);
    let differences = await compareTreeWithManifest(tree, root, manifest.lines, { attributes, hardLinks });
    const before = new Set(manifest.before.map((line) => line.path));
    const revived = differences.filter((difference) => difference.what === 'entry' && difference.found === 'present' && before.has(difference.path));
    // A chain without deletions recorded brings back what was deleted between its jobs; nothing else may differ.
    if (!chain.some((job) => job.deletions > 0)) differences = differences.filter((difference) => !revived.includes(difference));
    const notes = [attributes ? '' : 'no attributes stored', hardLinks ? '' : 'no hard links stored', revived.length > 0 ? `${revived.length} deleted entries not recorded` : '']
      .filter((note) => note !== '');
    this.#result(`${what}, ${manifest.lines.length} entries${notes.length > 0 ? ` (${notes.join(', ')})` : ''}`, [...differences.map(show), ...tree.problems().map((problem) => problem.message)]);
  }

  async #hasAttributes(tree: ReturnType<BaculaVolumeSet['chainTree']>, lines: readonly ManifestLine[]): Promise<boolean> {
    for (const line of lines) {
      const id = line.xattr === undefined ? undefined : await lookupPath(tree, manifestPath(line));
      if (id !== undefined && (await tree.attributes(id)).size > 0) return true;
    }
    return false;
  }

  /** A job whose one file is known as a whole. */
  async #stream(folder: string, set: BaculaVolumeSet, jobs: readonly BaculaJob[], expected: Uint8Array): Promise<void> {
    const faults: string[] = [];
    let files = 0;
    for (const job of jobs) {
      const tree = set.jobTree({ session: job.session });
      const pending = [tree.rootId];
      for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
        for await (const page of tree.list(id)) {
          for (const entry of page) {
            const { type } = await tree.stat(entry.id);
            if (type === 'directory') pending.push(entry.id);
            else {
              files += 1;
              const found = await md5Of(await tree.open(entry.id));
              if (found !== createHash('md5').update(expected).digest('hex')) faults.push(`content differs: ${found}`);
            }
          }
        }
      }
    }
    if (files !== 1) faults.push(`found ${files} files, expected 1`);
    this.#result(`${folder}: the expected stream`, faults);
  }

  /** A folder of damaged copies of one volume. */
  async damages(folder: string): Promise<void> {
    const damages = JSON.parse(await readFile(join(folder, 'corruptions.json'), 'utf8')) as Readonly<Record<string, Damage>>;
    for (const [name, damage] of Object.entries(damages)) {
      const what = `${basename(folder)}/${name}`;
      try {
        await this.#damage(what, join(folder, name), damage);
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        this.#result(what, [`open failed: ${error.name}: ${error.message}`]);
      }
    }
  }

  async #damage(what: string, folder: string, damage: Damage): Promise<void> {
    const base = join(this.#context.corpus, damage.base);
    const baseFolder = join(base, '..', '..');
    const set = await openVolumes(join(folder, 'volumes'), { limits: defaultLimits, keys: await keysOf(this.#context.corpus, baseFolder) }, this.#resolveName);
    try {
      const problems = [...set.problems()];
      for await (const problem of set.verifyContents()) problems.push(problem);
      const starts = await blockStarts(base);
      const places = expectedPlaces(damage, starts, (await stat(base)).size);
      const named = problems.filter((problem) => problem.offset !== undefined && places.includes(problem.offset) && problem.volume !== '');
      const faults = named.length > 0 ? [] : [`no problem at ${places.join(' or ')}; reported: ${problems.map(place).join(', ') || 'nothing'}`];
      faults.push(...await this.#nothingWrong(set, baseFolder));
      this.#result(`${what}: ${[...new Set(problems.map((problem) => problem.kind))].join(', ')}`, faults);
    } finally {
      await set.close();
    }
  }

  /** Whatever can still be read is as in the manifest of the job it belongs to. */
  async #nothingWrong(set: BaculaVolumeSet, baseFolder: string): Promise<readonly string[]> {
    const faults: string[] = [];
    const manifests = await readManifests(baseFolder);
    for (const job of set.jobs()) {
      const manifest = manifests.find((one) => one.atFull === (job.level === 'F')) ?? manifests.find((one) => !one.atFull);
      if (manifest === undefined) continue;
      const tree = set.jobTree({ session: job.session });
      const root = manifestRoot(manifest.lines);
      const differences = await compareTreeWithManifest(tree, root, manifest.lines, { attributes: await this.#hasAttributes(tree, manifest.lines), hardLinks: false });
      // Lost and unreadable entries were reported; a directory whose own record is lost is made up to hold its entries.
      const lost = new Set(differences.filter((difference) => difference.what === 'mtime' && difference.found === '0').map((difference) => difference.path));
      const wrong = differences.filter((difference) => difference.what !== 'readable' && !(difference.what === 'entry' && difference.found === 'absent') && !lost.has(difference.path));
      faults.push(...wrong.map(show));
    }
    return faults;
  }
}

function show(difference: Difference): string {
  return `${difference.path}: ${difference.what} is '${difference.found}', expected '${difference.expected}'`;
}

function place(problem: VolumeProblem): string {
  return `${problem.kind}@${problem.offset ?? '?'}`;
}

/** Offsets of the blocks of a good volume. */
async function blockStarts(path: string): Promise<readonly number[]> {
  const bytes = await readFile(path);
  const starts: number[] = [];
  for (let at = 0; at + 24 <= bytes.length; at += bytes.readUInt32BE(at + 4)) starts.push(at);
  return starts;
}

/** Where a problem may be named: the damaged block, the copy of it, or the end. */
function expectedPlaces(damage: Damage, starts: readonly number[], baseSize: number): readonly number[] {
  if (damage.block === undefined) return [baseSize, starts[1] ?? baseSize];
  const start = starts[damage.block] ?? 0;
  if (damage.size !== undefined) return [start];
  return damage.offset !== undefined && (starts.includes(damage.offset) || damage.offset === baseSize) ? [start, damage.offset] : [start];
}

/** Runs everything; each check is one line of the log. */
export async function run(context: CorpusContext): Promise<CorpusCounts> {
  const counts = new CorpusRun(context, await localNames());
  for (const name of await names(context.corpus)) {
    const folder = join(context.corpus, name);
    const inside = (await stat(folder)).isDirectory() ? await names(folder) : [];
    if (inside.includes('corruptions.json')) await counts.damages(folder);
    else if (inside.includes('volumes')) await counts.folder(folder);
  }
  return { passed: counts.passed, failed: counts.failed, skipped: counts.skipped };
}
