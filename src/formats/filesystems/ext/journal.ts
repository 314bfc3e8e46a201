/** Looks through the journal: a filesystem as it would be after a replay, without writing. */
import { FormatError, readRange, UnsupportedError, type BlockSource, type Limits } from '../../../core/index.ts';
import { MappedSource } from '../../mapping/mapped-source.ts';
import type { BlockMap, Run } from '../../mapping/run.ts';
import type { Contents } from './contents.ts';
import type { InodeTable } from './inode-table.ts';
import type { FastCommitArea } from './fast-commit-log.ts';
import { readJournalHead } from './journal-head.ts';
import { JournalLog, type JournalledBlock } from './journal-log.ts';
import { JOURNAL_MAGIC } from './journal.layout.ts';
import type { ExtGeometry } from './superblock.ts';

/** What a replay in memory gave. */
export interface Replayed {
  /** The source with what the journal adds; it owns the one below. The very same source when the journal adds nothing. */
  readonly source: BlockSource;
  readonly remarks: readonly string[];
  /** Where fast commits may follow the last transaction. */
  readonly fastCommits?: FastCommitArea;
}

/** What a replay needs: the filesystem as it is on the disk. */
export interface JournalParts {
  readonly source: BlockSource;
  readonly geometry: ExtGeometry;
  readonly inodes: InodeTable;
  readonly contents: Contents;
  readonly limits: Limits;
}

/** Blocks in order, each with the place in the source where its content is. */
class JournalMap implements BlockMap {
  readonly #source: BlockSource;
  readonly #blockBytes: number;
  readonly #numbers: Float64Array;
  readonly #places: Float64Array;
  readonly #escaped: Uint8Array;

  constructor(source: BlockSource, blockBytes: number, blocks: readonly { readonly block: number; readonly at: number; readonly escaped: boolean }[]) {
    this.#source = source;
    this.#blockBytes = blockBytes;
    this.#numbers = Float64Array.from(blocks, ({ block }) => block);
    this.#places = Float64Array.from(blocks, ({ at }) => at);
    this.#escaped = Uint8Array.from(blocks, ({ escaped }) => (escaped ? 1 : 0));
  }

  runAt(offset: number, lengthMax: number): Run {
    const block = Math.floor(offset / this.#blockBytes);
    const skip = offset - block * this.#blockBytes;
    let low = 0;
    let high = this.#numbers.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#numbers[middle] as number) < block) low = middle + 1;
      else high = middle;
    }
    if (this.#numbers[low] !== block) {
      const next = this.#numbers[low];
      const length = next === undefined ? lengthMax : Math.min(lengthMax, next * this.#blockBytes - offset);
      return { kind: 'data', length, file: this.#source, at: offset };
    }
    const length = Math.min(lengthMax, this.#blockBytes - skip);
    const at = this.#places[low] as number;
    if (this.#escaped[low] === 0) return { kind: 'data', length, file: this.#source, at: at + skip };
    return { kind: 'packed', length, skip, load: () => this.#unescape(at) };
  }

  async #unescape(at: number): Promise<Uint8Array> {
    const bytes = await readRange(this.#source, at, this.#blockBytes);
    new DataView(bytes.buffer).setUint32(0, JOURNAL_MAGIC);
    return bytes;
  }
}

/** Where the journal's blocks are in the source. */
async function placesOf(map: BlockMap, blocks: ReadonlyMap<number, JournalledBlock>, geometry: ExtGeometry): Promise<readonly { readonly block: number; readonly at: number; readonly escaped: boolean }[]> {
  const { blockBytes } = geometry;
  const places: { readonly block: number; readonly at: number; readonly escaped: boolean }[] = [];
  for (const [block, { at, escaped }] of blocks) {
    if (block >= geometry.blocks) throw new FormatError('Replay ext journal', { structure: 'ext journal block', field: 't_blocknr', found: block, expected: `less than ${geometry.blocks}` });
    const run = await map.runAt(at * blockBytes, blockBytes);
    if (run.kind !== 'data' || run.length < blockBytes) throw new FormatError('Replay ext journal', { structure: 'ext journal block', field: 'block', found: at, expected: 'a block of the journal that is on the disk' });
    places.push({ block, at: run.at, escaped });
  }
  return places.sort((a, b) => a.block - b.block);
}

/**
 * Replays the journal of a filesystem that was not unmounted.
 * @throws {UnsupportedError} when the journal is on another device. @throws {FormatError} @throws {IntegrityError} @throws {LimitError}
 */
export async function replayJournal({ source, geometry, inodes, contents, limits }: JournalParts): Promise<Replayed> {
  if (geometry.journalInode === 0) throw new UnsupportedError('Replay ext journal: it is on another device; without it the filesystem can be read as it is');
  const inode = await inodes.get(geometry.journalInode);
  const content = contents.open(inode);
  const head = await readJournalHead(content, geometry.blockBytes);
  const { blocks, end, transactions } = await new JournalLog(content, head, limits).replay();
  const remarks: string[] = [];
  if (head.error !== 0) remarks.push(`the journal notes that writing failed with error ${head.error}`);
  // With an empty log, the kernel doesn't look for fast commits either.
  const fast = head.fastCommits === undefined || head.start === 0 ? {} : { fastCommits: { content, blockBytes: head.blockBytes, ...head.fastCommits, transaction: end } };
  if (blocks.size === 0) return { source, remarks, ...fast };
  const places = await placesOf(contents.map(inode), blocks, geometry);
  const map = new JournalMap(source, geometry.blockBytes, places);
  remarks.unshift(`not unmounted: ${transactions} transactions of the journal, ${blocks.size} blocks, are replayed in memory`);
  return { source: new MappedSource(source.size, source.sectorSize, { what: 'ext filesystem', map, owned: [source], place: { structure: 'ext journal block', field: 't_blocknr' } }), remarks, ...fast };
}
