/** `ls`: entries of a directory, or of all below it. Output is written as it comes: a million entries need no memory. */
import { utf8, type TreeProblem } from '../../../core/index.ts';
import { formatPathText } from '../../locations/path-text.ts';
import { openLocation, type Location } from '../../locations/index.ts';
import type { Place } from '../../locations/place.ts';
import { entryError, isFatal, problemError, type EntryError } from '../../entry-error.ts';
import { entryRecord, longLine, type RecordOptions } from '../../entry-record.ts';
import { walk, walkNames, type TreeView, type WalkEntry } from '../../trees/walk.ts';
import type { DigestName } from '../../trees/content.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';
import { jobLines, snapshotLines } from '../listings.ts';
import { NameWriter } from '../name-writer.ts';
import { TextWriter } from '../text-writer.ts';

interface Options extends CommonOptions {
  readonly recursive?: boolean;
  readonly long?: boolean;
  readonly digest?: DigestName;
  readonly xattrs?: boolean;
}

/** Prints entries, as lines or as the elements of the JSON array. */
class Lister {
  readonly errors: EntryError[] = [];
  files = 0;
  #entries = 0;
  readonly #context: Context;
  readonly #view: TreeView;
  readonly #options: Options;
  readonly #out: TextWriter = new TextWriter(process.stdout);
  readonly #names: NameWriter;

  constructor(context: Context, view: TreeView, options: Options) {
    this.#context = context;
    this.#view = view;
    this.#options = options;
    this.#names = new NameWriter(process.stdout, options.recursive === true);
  }

  /** `place` may be a disk, which has no name in any directory. */
  async run(location: string, place: Place): Promise<void> {
    if (this.#context.json) await this.#out.write(`{"location":${JSON.stringify(location)},"entries":[`);
    const stat = await this.#view.tree.stat(this.#view.id);
    if (stat.type === 'directory' && this.#isPlain) {
      await walkNames(this.#view, {
        names: (directory, entries) => this.#names.write(directory, entries),
        below: this.#options.recursive === true,
        failed: (path, error) => this.#fail(path, error),
      }, this.#context.signal);
    } else if (stat.type === 'directory') {
      await walk(this.#view, {
        page: (entries) => this.#page(entries),
        into: () => this.#options.recursive === true,
        failed: (path, error) => this.#fail(path, error),
      }, this.#context.signal);
    } else {
      const name = place.kind === 'disk' ? utf8(place.name) : this.#view.path.subarray(this.#view.path.lastIndexOf(0x2f) + 1);
      await this.#page([{ path: this.#view.path, name, id: this.#view.id, stat }]);
    }
  }

  /** Ends the output; `error` is what cut it short. */
  async finish(error?: object): Promise<void> {
    if (this.#context.json) {
      const tail = error === undefined ? '' : `,"error":${JSON.stringify(error)}`;
      await this.#out.write(`],"errors":${JSON.stringify(this.errors)}${tail}}\n`);
    }
    await this.#out.flush();
    await this.#names.flush();
    this.#context.failures.finish();
  }

  /** Whether names are all that is asked for. */
  get #isPlain(): boolean {
    return !this.#context.json && this.#options.long !== true && this.#options.digest === undefined;
  }

  async #page(entries: readonly WalkEntry[]): Promise<void> {
    for (const entry of entries) await this.#entry(entry);
  }

  #shown(entry: WalkEntry): Uint8Array {
    return this.#options.recursive === true ? entry.path : entry.name;
  }

  async #entry(entry: WalkEntry): Promise<void> {
    const options: RecordOptions = { digest: this.#options.digest, xattrs: this.#options.xattrs, attributes: this.#context.json };
    try {
      const shown = this.#shown(entry);
      if (this.#isPlain) {
        await this.#out.write(`${formatPathText(shown)}\n`);
        return;
      }
      const record = await entryRecord(this.#view.tree, entry, options);
      if (this.#context.json) {
        await this.#out.write(`${this.#entries === 0 ? '' : ','}\n${JSON.stringify(record)}`);
        this.#entries += 1;
      } else if (this.#options.long === true) await this.#out.write(`${longLine(record, entry.stat, shown)}\n`);
      else await this.#out.write(`${record.sha256 ?? record.md5 ?? '-'}  ${formatPathText(shown)}\n`);
    } catch (error) {
      this.#fail(entry.path, error);
    }
  }

  /** What the layers found wrong on the way: a list that may lack entries must not look complete. */
  damaged(problems: readonly TreeProblem[]): void {
    for (const problem of problems) this.#note(problemError(problem));
  }

  #fail(path: Uint8Array, error: unknown): void {
    if (isFatal(error)) throw error;
    this.#note(entryError(path, error));
  }

  #note(row: EntryError): void {
    this.errors.push(row);
    this.#context.failures.add(row);
  }
}

/** Volumes and repositories, one line for each job or snapshot with what is known of it; undefined for anything else. */
async function overview({ place }: Location): Promise<readonly string[] | undefined> {
  if (place.kind === 'volumes') return jobLines(place.volumes.jobs.map(({ job }) => job), place.volumes.jobs.map(({ step }) => step));
  return place.kind === 'repository' ? snapshotLines(await place.repository.snapshots(), true) : undefined;
}

/** Who lists a disk may want the files on it. */
async function noteDisk(context: Context, location: Location, text: string): Promise<void> {
  const { place } = location;
  if (place.kind !== 'disk' && (place.kind !== 'node' || (await place.view.tree.stat(place.view.id)).type !== 'file')) return;
  const { diskOf, filesHint } = await import('../../next-step.ts');
  const disk = await diskOf(location).catch(() => undefined);
  if (disk !== undefined) context.note(`'${text}': ${await filesHint(location)}`);
}

/** Runs the verb. */
export async function run(context: Context, operands: readonly string[], options: Options): Promise<Outcome> {
  const [text = ''] = operands;
  const location = await openLocation(text, context.opening, 'inside');
  try {
    const isOverview = !context.json && options.recursive !== true && options.long !== true && options.digest === undefined;
    const lines = isOverview ? await overview(location) : undefined;
    const lister = new Lister(context, await location.browse(), options);
    try {
      if (lines === undefined) await lister.run(text, location.place);
      else for (const line of lines) context.print(line);
      lister.damaged(location.damage());
    } catch (error) {
      const { errorObject } = await import('../run.ts');
      await lister.finish(errorObject(error));
      context.warn((error as Error).message);
      return { exitCode: 1 };
    }
    await lister.finish();
    await noteDisk(context, location, text);
    return { exitCode: lister.errors.length > 0 ? 3 : 0 };
  } finally {
    await location.close();
  }
}
