/**
 * Every folder of a corpus of real Bacula volumes against its manifests, read directly from the volumes, and every damaged
 * volume: its damage is reported at its place, and nothing wrong can be read as good. Folder names mean nothing, except that one
 * with `acl` or `xattr` in its name must hold attributes: what is in a folder says what is compared.
 *
 * Needs: a corpus directory; nothing else.
 */
import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { HoldfastError } from '../src/core/index.ts';
import type { BaculaJob, BaculaVolumeSet, VolumeProblem } from '../src/formats/bacula/index.ts';
import { catalogJobs, type CorpusFolder, type CorpusManifest, type CorpusSet, keyFilesOf, namesIn, openFolder, openVolumes, readManifests, storesAttributes } from './corpus-folder.ts';
import { compareTreeWithManifest, type Difference, manifestRoot, md5Of } from './manifest.ts';

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

interface Damage {
  readonly base: string;
  readonly manifest: string;
  readonly block?: number;
  readonly offset?: number;
  readonly removed_offset?: number;
  readonly size?: number;
}

class CorpusRun {
  passed = 0;
  failed = 0;
  skipped = 0;
  readonly #context: CorpusContext;

  constructor(context: CorpusContext) {
    this.#context = context;
  }

  #result(what: string, faults: readonly string[]): void {
    if (faults.length === 0) this.passed += 1;
    else this.failed += 1;
    this.#context.log(`${faults.length === 0 ? 'pass' : 'FAIL'} ${what}${faults.length === 0 ? '' : `: ${faults.length} faults`}`);
    for (const fault of faults.slice(0, 8)) this.#context.log(`     ${fault}`);
  }

  async folder(path: string): Promise<void> {
    const folder: CorpusFolder = { name: basename(path), path, manifests: await readManifests(path) };
    const set = await openFolder(this.#context.corpus, folder);
    const { volumes } = set;
    try {
      const faults = volumes.problems().map((problem) => `problem on a good volume: ${problem.kind}: ${problem.message}`);
      for await (const problem of volumes.verifyContents()) faults.push(`problem in good content: ${problem.kind}: ${problem.message}`);
      this.#result(`${folder.name}: no problems`, faults);
      const jobs = await catalogJobs(path, volumes);
      this.#result(`${folder.name}: jobs complete`, jobs.filter((job) => !job.complete).map((job) => `job ${job.jobId} is not complete`));
      for (const manifest of folder.manifests) await this.#manifest(folder, set, manifest);
      const stream = await readFile(join(path, 'expected-stream.bin')).catch(() => undefined);
      if (stream !== undefined) await this.#stream(folder.name, volumes, jobs, stream);
      else if (folder.manifests.length === 0) this.#skip(`${folder.name}: it has no manifest`);
    } finally {
      await volumes.close();
    }
  }

  #skip(why: string): void {
    this.skipped += 1;
    this.#context.log(`skip ${why}`);
  }

  async #manifest(folder: CorpusFolder, set: CorpusSet, manifest: CorpusManifest): Promise<void> {
    const chain = await set.chainFor(manifest);
    const what = `${folder.name}: ${manifest.name}${manifest.atFull ? ' at full' : ''} = jobs ${chain.map((job) => job.jobId).join('+')}`;
    if (chain.length === 0) return this.#result(what, ['no job holds the manifest\'s root']);
    const tree = set.volumes.chainTree(chain.map((job) => job.jobId));
    const options = await set.optionsFor(chain, manifest);
    const differences = await compareTreeWithManifest(tree, manifestRoot(manifest.lines), manifest.lines, options);
    const revived = options.extra?.size ?? 0;
    const notes = [options.attributes === true ? '' : 'no attributes stored', options.hardLinks === true ? '' : 'no hard links stored', revived > 0 ? `${revived} deleted entries not recorded` : '']
      .filter((note) => note !== '');
    this.#result(`${what}, ${manifest.lines.length} entries${notes.length > 0 ? ` (${notes.join(', ')})` : ''}`, [...differences.map(show), ...tree.problems().map((problem) => problem.message)]);
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
    const set = await openVolumes(join(folder, 'volumes'), await keyFilesOf(this.#context.corpus, baseFolder));
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
      const differences = await compareTreeWithManifest(tree, root, manifest.lines, { attributes: await storesAttributes(tree, manifest.lines), hardLinks: false });
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
  const counts = new CorpusRun(context);
  for (const name of await namesIn(context.corpus)) {
    const folder = join(context.corpus, name);
    const inside = (await stat(folder)).isDirectory() ? await namesIn(folder) : [];
    if (inside.includes('corruptions.json')) await counts.damages(folder);
    else if (inside.includes('volumes')) await counts.folder(folder);
  }
  return { passed: counts.passed, failed: counts.failed, skipped: counts.skipped };
}
