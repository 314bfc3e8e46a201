/**
 * Brings an index up to what the containers say: after a crash, after the index was lost, or for `--rebuild-index`. Needs nothing but the
 * containers: no manifest, no key.
 *
 * A container that the index does not know may have been cut off by a crash anywhere, so its payloads are checked against their checksums before its
 * chunks count: otherwise a torn chunk could satisfy a later backup.
 */
import {
  FormatError, ID_BYTES, LimitError, PLACE_BYTES, encodePlace, equalBytes, HoldfastError, UnsupportedError,
  type ChunkIndex, type Disk, type DiskFile, type Limits, type Watermark, type World,
} from '../../core/index.ts';
import { createZstd } from '../compression/zstd.ts';
import { createHasher, type HashName, type Hasher } from '../hashing/hasher.ts';
import { crc32 } from './checksums.ts';
import { FOOTER_ROW_BYTES, TABLE_ROW_BYTES, TRAILER_MAGIC, containerHeader, containerTrailer, footerHeader } from './container.layout.ts';
import { containerPath, listContainers, findGroup, readContainerHeader, scanGroups, type ContainerNumber, type ScannedGroup } from './container.ts';
import { encodeFooter, readFooter, type FooterRow } from './footer.ts';

/** What a replay did; `problems` are sentences with their place. */
export interface ReplayReport {
  readonly containers: number;
  readonly chunks: number;
  readonly problems: readonly { readonly kind: string; readonly where: string; readonly message: string }[];
}

type Problem = ReplayReport['problems'][number];

/** Replay of one repository. */
export class Replay {
  readonly #disk: Disk;
  readonly #index: ChunkIndex;
  readonly #limits: Limits;
  readonly #hash: HashName;
  readonly #repair: boolean;
  readonly #problems: Problem[] = [];
  #containers = 0;
  #chunks = 0;

  /** With `repair`, unsealed containers lose their torn tail and get a footer; only the one writer may do that. */
  constructor(world: World, index: ChunkIndex, options: { readonly limits: Limits; readonly hash: HashName; readonly repair: boolean }) {
    this.#disk = world.disk;
    this.#index = index;
    this.#limits = options.limits;
    this.#hash = options.hash;
    this.#repair = options.repair;
  }

  /** Reads every container that `known` does not name. */
  async run(known: ReadonlySet<string>, onContainer?: (done: number, total: number) => void): Promise<ReplayReport> {
    const todo = (await listContainers(this.#disk)).filter((container) => !known.has(container.number.text));
    for (const [done, container] of todo.entries()) {
      onContainer?.(done, todo.length);
      await this.#container(container.number);
    }
    return { containers: this.#containers, chunks: this.#chunks, problems: this.#problems };
  }

  async #container(number: ContainerNumber): Promise<void> {
    const file = await this.#disk.open(containerPath(number), this.#repair ? 'write' : 'read');
    let isEmpty = false;
    try {
      const hasHeader = await this.#hasHeader(file, number);
      isEmpty = !hasHeader && await findGroup(file, number, 0, this.#limits) === undefined && !(await hasTrailer(file));
      if (!isEmpty) await this.#replay(file, number, hasHeader);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#note('damaged-container', `container ${number.text}`, error);
    } finally {
      await file.close();
    }
    if (isEmpty && this.#repair) {
      await this.#disk.remove(containerPath(number));
      this.#note('torn-container', `container ${number.text}`, 'A crash took its first bytes before it was sealed: it holds no group and was removed');
    }
  }

  /** A damaged head costs nothing but a note: the file's name says the number, and each group names its place. */
  async #hasHeader(file: DiskFile, number: ContainerNumber): Promise<boolean> {
    try {
      await readContainerHeader(file, number);
      return true;
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      this.#note('damaged-container', `container ${number.text}`, error);
      return false;
    }
  }

  async #replay(file: DiskFile, number: ContainerNumber, hasHeader: boolean): Promise<void> {
    const footer = await this.#footer(file, number);
    const found = await this.#groups(file, number, footer);
    found.isDamaged ||= !hasHeader;
    const mayRepair = this.#repair && !found.isDamaged;
    if (footer === undefined && mayRepair && (isFooterTorn(file, found.rows) || !(await hasTrailer(file)))) await this.#seal(file, found.rows);
    if (this.#repair) {
      // A process that was killed may have left all of it in the page cache only: no index may name it before it is durable.
      await file.sync();
      await this.#disk.syncDirectory(`containers/${number.text.slice(0, 2)}`);
    }
    const sealed = footer !== undefined || mayRepair || await hasTrailer(file);
    await this.#enter({ container: number.text, offset: file.size, sealed }, found.ids, found.places);
  }

  /**
   * Collects the chunks that can be used. Without a footer, what is wrong at the end is a crash's doing: it does not count, and a repair cuts it
   * off. Wrong places with sound groups behind them are damage: nothing is cut, and what is right there counts.
   */
  async #groups(file: DiskFile, number: ContainerNumber, footer: readonly FooterRow[] | undefined): Promise<FoundGroups> {
    const result: FoundGroups = { rows: [], ids: [], places: [], isDamaged: false };
    let doubtful: ScannedGroup[] = [];
    for await (const found of scanGroups(file, number, this.#limits, footer)) {
      if ('fault' in found) {
        if (found.isLast) continue;
        this.#note('damaged-group', `container ${number.text} at ${found.offset}`, found.fault);
        result.isDamaged ||= footer === undefined;
        continue;
      }
      const { group } = found;
      if (!(await isPayloadGood(file, group))) {
        if (footer === undefined) doubtful.push(group);
        else await this.#salvage(file, { number, group }, result);
        continue;
      }
      result.isDamaged ||= doubtful.length > 0;
      for (const before of doubtful) await this.#salvage(file, { number, group: before }, result);
      doubtful = [];
      collect({ number, group }, result);
      result.rows.push({ offset: group.offset, length: group.head.recordLength, chunkCount: group.head.count });
    }
    return result;
  }

  /** Of a damaged group in a sealed container, the chunks count that still match their ids; the others may be stored again. */
  async #salvage(file: DiskFile, found: FoundGroup, result: FoundGroups): Promise<void> {
    const { head, offset } = found.group;
    const payload = await payloadOf(file, found.group);
    let raw = payload;
    let bad = new Set(Array.from({ length: head.count }, (_, ordinal) => ordinal));
    try {
      if (head.codec === 'zstd') {
        raw = new Uint8Array(head.rawLength);
        (await createZstd()).decompress(payload, raw);
      }
      bad = wrongChunks(found.group.table, raw, await createHasher(this.#hash));
    } catch (error) {
      if (!isDamage(error)) throw error; // then no chunk of it can be read
    }
    this.#note('damaged-group', `container ${found.number.text} at ${offset}`, `the payload does not match its checksum: ${bad.size} of ${head.count} chunks are lost`);
    collect(found, result, bad);
  }

  /** Undefined when there is none, or none that can be used: then records are found one behind the other. */
  async #footer(file: DiskFile, number: ContainerNumber): Promise<readonly FooterRow[] | undefined> {
    try {
      return await readFooter(file, this.#limits);
    } catch (error) {
      if (!isDamage(error)) throw error;
      this.#note('damaged-footer', `container ${number.text}`, error);
      return undefined;
    }
  }

  async #enter(watermark: Watermark, ids: readonly Uint8Array[], places: readonly Uint8Array[]): Promise<void> {
    const all = new Uint8Array(Buffer.concat(ids));
    await this.#index.putMany({ bytes: all, count: all.length / ID_BYTES }, new Uint8Array(Buffer.concat(places)), [watermark]);
    this.#containers += 1;
    this.#chunks += all.length / ID_BYTES;
  }

  /** Cuts the torn tail of an unsealed container and gives it a footer. */
  async #seal(file: DiskFile, rows: readonly FooterRow[]): Promise<void> {
    const end = endOf(rows);
    await file.truncate(end);
    await file.writeFrom(end, encodeFooter(rows, end));
  }

  #note(kind: string, where: string, cause: unknown): void {
    this.#problems.push({ kind, where, message: cause instanceof Error ? cause.message : String(cause) });
  }
}

function isDamage(error: unknown): boolean {
  return error instanceof FormatError || error instanceof LimitError || error instanceof UnsupportedError || error instanceof RangeError
    || (error instanceof HoldfastError && error.code === 'INTEGRITY');
}

function endOf(rows: readonly FooterRow[]): number {
  const last = rows[rows.length - 1];
  return last === undefined ? containerHeader.size : last.offset + last.length;
}

/** All groups are whole and only the footer behind them is not: writing it again is exact. */
function isFooterTorn(file: DiskFile, rows: readonly FooterRow[]): boolean {
  return file.size - endOf(rows) === footerHeader.size + rows.length * FOOTER_ROW_BYTES + containerTrailer.size;
}

/** Whether a container was sealed once, even if its footer can't be read now: then it is left to `check` and repair. */
async function hasTrailer(file: DiskFile): Promise<boolean> {
  if (file.size < containerHeader.size + containerTrailer.size) return false;
  const bytes = new Uint8Array(containerTrailer.size);
  await file.readInto(file.size - bytes.length, bytes);
  return containerTrailer.view(bytes).magic === TRAILER_MAGIC;
}

/** What a container holds. */
interface FoundGroups {
  readonly rows: FooterRow[];
  readonly ids: Uint8Array[];
  readonly places: Uint8Array[];
  isDamaged: boolean;
}

/** A group and the container it is in. */
interface FoundGroup {
  readonly number: ContainerNumber;
  readonly group: ScannedGroup;
}

async function payloadOf(file: DiskFile, group: ScannedGroup): Promise<Uint8Array> {
  const payload = new Uint8Array(group.head.storedLength);
  await file.readInto(group.offset + group.head.recordLength - group.head.storedLength, payload);
  return payload;
}

async function isPayloadGood(file: DiskFile, group: ScannedGroup): Promise<boolean> {
  return crc32(await payloadOf(file, group)) === group.head.payloadCrc32;
}

/** Ordinals of chunks whose bytes do not have their id. */
function wrongChunks(table: Uint8Array, raw: Uint8Array, hasher: Hasher): Set<number> {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const id = new Uint8Array(ID_BYTES);
  const wrong = new Set<number>();
  let at = 0;
  for (let row = 0; row < table.length; row += TABLE_ROW_BYTES) {
    const length = view.getUint32(row + ID_BYTES);
    hasher.digestInto(raw.subarray(at, at + length), id, 0);
    if (!equalBytes(id, table.subarray(row, row + ID_BYTES))) wrong.add(row / TABLE_ROW_BYTES);
    at += length;
  }
  return wrong;
}

/** Appends the group's chunks, all but those in `bad`. */
function collect(found: FoundGroup, result: FoundGroups, bad: ReadonlySet<number> = new Set()): void {
  const { number, group: { head, offset, table } } = found;
  const count = head.count - bad.size;
  const idBytes = new Uint8Array(count * ID_BYTES);
  const placeBytes = new Uint8Array(count * PLACE_BYTES);
  const place = { containerHigh: number.high, containerLow: number.low, offset, length: head.recordLength };
  for (let ordinal = 0, i = 0; ordinal < head.count; ordinal += 1) {
    if (bad.has(ordinal)) continue;
    idBytes.set(table.subarray(ordinal * TABLE_ROW_BYTES, ordinal * TABLE_ROW_BYTES + ID_BYTES), i * ID_BYTES);
    encodePlace(placeBytes, i, { ...place, ordinal });
    i += 1;
  }
  result.ids.push(idBytes);
  result.places.push(placeBytes);
}
