/**
 * Consumer's half of the ingest: takes hashed slabs in order, stores the chunks that are new, and builds directory entries. Because steps
 * arrive in the order of the walk, one recipe and one directory per level are all it remembers.
 */
import assert from 'node:assert';
import { ID_BYTES, LimitError, joinPath, type Limits, type TreeProblem } from '../../core/index.ts';
import { DirectoryWriter } from '../snapshots/directory-writer.ts';
import { EntryEncoder, type Entry } from '../snapshots/entry.ts';
import type { MetadataStore } from '../snapshots/metadata-store.ts';
import { RecipeWriter } from '../snapshots/recipe.ts';
import type { Content } from '../snapshots/refs.ts';
import type { IngestStore } from '../store/content-store.ts';
import { pathText } from './path-text.ts';
import { coverUnits, noCounts, type StreamClass } from '../tuner/index.ts';
import type { ChunksStep, EntryFacts, Slab, Step } from './slab.ts';

/** Counts while a backup runs; bytes or items. */
export interface IngestCounts {
  files: number;
  directories: number;
  others: number;
  bytes: number;
  bytesNew: number;
  chunks: number;
  chunksNew: number;
  /** Files whose content was taken over from the parent without reading. */
  unchanged: number;
  /** Content that was read and cut, by class. */
  readonly classes: Record<StreamClass, { bytes: number; bytesKnown: number }>;
}

/** Builds the snapshot's tree. */
export class Collector {
  readonly counts: IngestCounts = { files: 0, directories: 0, others: 0, bytes: 0, bytesNew: 0, chunks: 0, chunksNew: 0, unchanged: 0, classes: noCounts() };
  readonly #store: IngestStore;
  readonly #metadata: MetadataStore;
  readonly #limits: Limits;
  readonly #recipe: RecipeWriter;
  readonly #directories: DirectoryWriter[] = [];
  readonly #links = new Map<number, { readonly content: Content; left: number }>();
  readonly #onProblem: (problem: TreeProblem) => void;
  #root: Uint8Array | undefined;
  /** Names from the root to the open directory, and the entry that was finished last. */
  readonly #names: Uint8Array[] = [];
  #last: Uint8Array = new Uint8Array(0);

  constructor(parts: { store: IngestStore; metadata: MetadataStore; limits: Limits; onProblem(problem: TreeProblem): void }) {
    this.#store = parts.store;
    this.#metadata = parts.metadata;
    this.#limits = parts.limits;
    this.#onProblem = parts.onProblem;
    this.#recipe = new RecipeWriter(parts.metadata);
  }

  /** The encoded root entry, once its `leave` step was taken. */
  get root(): Uint8Array {
    assert(this.#root !== undefined, 'the walk ended at the root');
    return this.#root;
  }

  /** Path of the entry that was finished last. */
  get current(): Uint8Array {
    return this.#pathOf(this.#last);
  }

  #pathOf(name: Uint8Array): Uint8Array {
    return [...this.#names.slice(1), name].reduce(joinPath, new Uint8Array(0));
  }

  /** Takes one slab; `asked` is the answer for its ids where they were asked for ahead. */
  async take(slab: Slab, asked?: Promise<Uint8Array>): Promise<void> {
    await slab.hashed;
    const known = await (asked ?? this.#store.has({ bytes: slab.ids, count: slab.count }));
    for (const step of slab.steps) {
      if (step.kind === 'chunks') await this.#chunks(slab, step, known);
      else await this.#step(step);
    }
  }

  async #chunks(slab: Slab, step: ChunksStep, known: Uint8Array): Promise<void> {
    const { bytes, bytesNew } = this.counts;
    const chosen = step.nested === undefined ? undefined : chosenUnits(step, step.nested, known);
    for (let at = 0; at < (chosen?.length ?? step.count); at += 1) {
      const i = chosen?.[at] ?? step.first + at;
      const later = this.#chunk(slab, i, isKnown(known, i));
      if (later !== undefined) await later;
    }
    if (step.streamClass === undefined) return;
    const count = this.counts.classes[step.streamClass];
    count.bytes += this.counts.bytes - bytes;
    count.bytesKnown += this.counts.bytes - bytes - (this.counts.bytesNew - bytesNew);
  }

  /** A promise only where something has to be waited for. */
  #chunk(slab: Slab, i: number, found: boolean): Promise<void> | undefined {
    const added = found ? false : this.#store.add('data', slab.ids, i * ID_BYTES, slab.dataOf(i));
    if (typeof added !== 'boolean') return added.then((isNew) => this.#refer(slab, i, isNew));
    return this.#refer(slab, i, added);
  }

  #refer(slab: Slab, i: number, isNew: boolean): Promise<void> | undefined {
    const length = slab.lengthOf(i);
    this.counts.bytes += length;
    this.counts.chunks += 1;
    if (isNew) {
      this.counts.chunksNew += 1;
      this.counts.bytesNew += length;
    }
    return this.#recipe.push(slab.ids, i * ID_BYTES, length) ? this.#recipe.flushPages() : undefined;
  }

  async #step(step: Exclude<Step, { kind: 'chunks' }>): Promise<void> {
    switch (step.kind) {
      case 'hole':
        this.counts.bytes += step.length;
        if (this.#recipe.pushHole(step.length)) await this.#recipe.flushPages();
        return;
      case 'file': return this.#file(step.facts);
      case 'drop':
        await this.#recipe.finish();
        return;
      case 'ready':
        if (step.entry.stat.type === 'file') {
          this.counts.unchanged += 1;
          this.counts.bytes += step.entry.stat.size;
          this.#remember(step.entry.link, step.entry.stat.links, step.entry.content);
        }
        return this.#add(step.entry);
      case 'unchanged':
        this.counts.unchanged += 1;
        this.counts.files += 1;
        this.counts.bytes += step.size;
        this.#last = step.name;
        await this.#directory.addEncoded(step.bytes, step.name);
        return;
      case 'linked': return this.#linked(step.facts);
      case 'enter':
        this.#directories.push(new DirectoryWriter(this.#metadata, this.#limits));
        this.#names.push(step.name);
        return;
      case 'leave': return this.#leave(step.facts);
    }
  }

  async #file(facts: EntryFacts): Promise<void> {
    const content = await this.#recipe.finish();
    if (facts.link > 0) this.#remember(facts.link, facts.stat.links, content);
    await this.#add({ ...facts, content });
  }

  /** Later names of an inode share its content; it is forgotten after the last. */
  #remember(link: number, links: number, content: Content): void {
    if (link > 0 && links > 1) this.#links.set(link, { content, left: links - 1 });
  }

  async #linked(facts: EntryFacts): Promise<void> {
    const known = this.#links.get(facts.link);
    if (known === undefined) {
      const where = pathText(this.#pathOf(facts.name));
      this.#onProblem({ kind: 'unreadable', where, message: `Store '${where}': it is a hard link to a file that could not be read` });
      return;
    }
    known.left -= 1;
    if (known.left === 0) this.#links.delete(facts.link);
    await this.#add({ ...facts, content: known.content });
  }

  get #directory(): DirectoryWriter {
    const directory = this.#directories[this.#directories.length - 1];
    assert(directory !== undefined, 'each entry is inside a directory');
    return directory;
  }

  async #add(entry: Entry): Promise<void> {
    this.#last = entry.name;
    try {
      await this.#directory.add(entry);
    } catch (error) {
      if (!(error instanceof LimitError)) throw error;
      const where = pathText(this.#pathOf(entry.name));
      this.#onProblem({ kind: 'too-large', where, message: `Store '${where}': ${error.message}` });
      return;
    }
    if (entry.stat.type === 'file') this.counts.files += 1;
    else this.counts.others += 1;
  }

  async #leave(facts: EntryFacts): Promise<void> {
    const directory = this.#directories.pop();
    this.#names.pop();
    assert(directory !== undefined, 'a directory that is left was entered');
    const entry: Entry = { ...facts, content: await directory.finish() };
    this.counts.directories += 1;
    const parent = this.#directories[this.#directories.length - 1];
    const keep = async (kept: Entry): Promise<void> => {
      if (parent === undefined) this.#root = new EntryEncoder().encode(kept, this.#limits).slice();
      else await parent.add(kept);
    };
    try {
      await keep(entry);
    } catch (error) {
      if (!(error instanceof LimitError)) throw error;
      // Its children are stored: better a directory without attributes than none.
      const where = pathText(this.#pathOf(facts.name));
      this.#onProblem({ kind: 'too-large', where, message: `Store '${where}' without its attributes: ${error.message}` });
      await keep({ ...entry, attributes: new Map() });
    }
  }
}

function isKnown(known: Uint8Array, i: number): boolean {
  return ((known[i >> 3] as number) & (1 << (i & 7))) !== 0;
}

/** Which of the nested units stand for the content. */
function chosenUnits(step: ChunksStep, { grain, spans, grains }: Required<ChunksStep>['nested'], known: Uint8Array): readonly number[] {
  const chosen: number[] = [];
  coverUnits({ count: step.count, spans, grains }, grain, (unit) => isKnown(known, step.first + unit), (unit) => { chosen.push(step.first + unit); });
  return chosen;
}
