/** The record of a file: what is known about it, and its streams as rows of a tree that begins in the record itself. */
import { FormatError, textOf, UnsupportedError, type Limits, type Timestamp } from '../../../core/index.ts';
import { wtf8 } from '../wtf8.ts';
import { RefsNode } from './node.ts';
import type { PageReader } from './page-reader.ts';
import { ATTRIBUTE, extentsLayout, informationLayout, inlineLayout, MARKER, nodeLayout, RECORD_INFORMATION_AT, runLayout, RUN_STRIDES } from './refs.layout.ts';
import { leavesBelow } from './tree.ts';

/** Seconds from 1601 to 1970. */
const EPOCH_SECONDS = 11_644_473_600;
const TICKS = 10_000_000;
/** Key of a row in a record. */
const KEY = { marker: 8, type: 12, name: 16, bytesMin: 14 } as const;
/** The live version of a stream that has others, and a counter that is no stream. */
const STREAM_VERSION = { counter: 8, live: 0x1000 } as const;
const STREAM_SNAPSHOT = 2;
const SPARSE = 0x8000_0000;
/** Of extended attributes: where their chain begins, and the head of each. */
const ATTRIBUTE_CHAIN_AT = 12;
const ATTRIBUTE_HEAD = 8;
/** Before the reparse data: a head of twelve bytes, tag, length. */
const REPARSE = { tagAt: 12, lengthAt: 16, dataAt: 20 } as const;

/** Hundreds of nanoseconds since 1601. */
export function filetime(bytes: Uint8Array): Timestamp {
  const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
  const high = view.getUint32(4, true);
  // One unit of the upper word is 429 seconds and 4,967,296 ticks; thousands of it apart, so that every product stays below 2^53.
  const thousands = Math.floor(high / 1000) * 4_967_296;
  const ticks = thousands % 10_000 * 1000 + high % 1000 * 4_967_296 + view.getUint32(0, true);
  return { seconds: high * 429 + Math.floor(thousands / 10_000) + Math.floor(ticks / TICKS) - EPOCH_SECONDS, nanoseconds: ticks % TICKS * 100 };
}

/** UTF-16 as bytes, without zeroes at its end. */
export function unitsText(bytes: Uint8Array): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let length = bytes.length >> 1;
  while (length > 0 && view.getUint16(2 * (length - 1), true) === 0) length -= 1;
  return wtf8(Uint16Array.from({ length }, (_, i) => view.getUint16(2 * i, true)), length);
}

/** Where a stream's bytes are. Clusters are virtual; runs are in order and don't overlap. */
export type StreamPlace =
  | { readonly kind: 'inline'; readonly bytes: Uint8Array }
  | { readonly kind: 'runs'; readonly size: number; readonly validBytes: number; readonly runs: readonly StreamRun[] };

/** Clusters of a stream that follow each other. */
export interface StreamRun {
  readonly fileCluster: number;
  readonly cluster: number;
  readonly count: number;
}

interface RecordRow {
  readonly marker: number;
  readonly type: number;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A reparse point: its tag and what only who made it understands. */
export interface ReparsePoint {
  readonly tag: number;
  readonly data: Uint8Array;
}

/** One file's record, with all its rows in memory. */
export class FileRecord {
  readonly information: ReturnType<typeof informationLayout.view>;
  readonly #rows: readonly RecordRow[];
  readonly #where: string;
  readonly #clusterBytes: number;

  private constructor(value: Uint8Array, rows: readonly RecordRow[], { where, clusterBytes }: { readonly where: string; readonly clusterBytes: number }) {
    this.information = informationLayout.view(value, RECORD_INFORMATION_AT);
    this.#rows = rows;
    this.#where = where;
    this.#clusterBytes = clusterBytes;
  }

  /** Reads the record in `value`, and pages that its tree goes on in. */
  static async read(value: Uint8Array, { pages, limits, where }: { readonly pages: PageReader; readonly limits: Limits; readonly where: string }): Promise<FileRecord> {
    const rows: RecordRow[] = [];
    if (value.length < RECORD_INFORMATION_AT + informationLayout.size) throw new FormatError('Read ReFS record', { structure: where, field: 'length', found: value.length, expected: `at least ${RECORD_INFORMATION_AT + informationLayout.size}` });
    for await (const { node } of leavesBelow({ node: RefsNode.ofValue(value, where), place: 0 }, { pages, limits })) {
      for (let i = 0; i < node.count; i += 1) {
        const { key, value: content } = node.row(i);
        if (key.length < KEY.bytesMin) continue;
        const view = new DataView(key.buffer, key.byteOffset, key.byteLength);
        rows.push({ marker: view.getUint32(KEY.marker, true), type: view.getUint16(KEY.type, true), key, value: content });
      }
    }
    return new FileRecord(value, rows, { where, clusterBytes: pages.geometry.clusterBytes });
  }

  /** The file's content, of `size` bytes. @throws {UnsupportedError} when it is kept in a way that is not documented. */
  content(size: number): StreamPlace {
    const single = this.#rows.find(({ marker, type }) => marker === MARKER.single && type === ATTRIBUTE.data);
    if (single !== undefined) {
      const found = this.#inline(single.value);
      if (found !== undefined && found.length === size) return { kind: 'inline', bytes: found };
    }
    return this.#extents(size) ?? (size === 0 ? { kind: 'inline', bytes: new Uint8Array(0) } : this.#unknown(`a stream of '${size}' bytes`));
  }

  /** Names and sizes of the named streams that are not snapshots. */
  streams(): readonly { readonly name: string; readonly size: number }[] {
    return this.#named().map(({ key, value }) => ({ name: textOf(unitsText(key.subarray(KEY.name))), size: inlineLayout.view(value).Size }));
  }

  /** A named stream; undefined when there is none of this name. @throws {UnsupportedError} as with content. */
  stream(name: string): StreamPlace | undefined {
    const row = this.#named().find(({ key }) => textOf(unitsText(key.subarray(KEY.name))) === name);
    if (row === undefined) return undefined;
    const bytes = this.#inline(row.value);
    if (bytes !== undefined) return { kind: 'inline', bytes };
    const { Size: size } = inlineLayout.view(row.value);
    // Only its size leads from a named stream to its runs: two of one size cannot be told apart.
    if (this.#named().filter(({ value }) => this.#inline(value) === undefined && inlineLayout.view(value).Size === size).length > 1) this.#unknown(`one of several streams of '${size}' bytes`);
    return this.#extents(size, ATTRIBUTE.extents) ?? this.#unknown(`the stream '${name}'`);
  }

  #named(): readonly RecordRow[] {
    return this.#rows.filter(({ type, key, value }) => type === ATTRIBUTE.named && key.length > KEY.name && value.length >= inlineLayout.size && inlineLayout.view(value).SummaryFlags !== STREAM_SNAPSHOT);
  }

  /** The bytes behind a stream's head, where they are there. */
  #inline(value: Uint8Array): Uint8Array | undefined {
    if (value.length < inlineLayout.size) return undefined;
    const stream = inlineLayout.view(value);
    const room = value.length - inlineLayout.size;
    if (stream.Zero !== 0 || stream.ContentOffset !== 12 || stream.SummaryLength !== 48 || stream.Size > room || stream.AllocatedSize > room) return undefined;
    return value.subarray(inlineLayout.size, inlineLayout.size + stream.Size);
  }

  /** The runs of the stream that has this size: the live version, or the only one. */
  #extents(size: number, onlyType?: number): StreamPlace | undefined {
    const fits = this.#rows.filter(({ type, value }) => (type === ATTRIBUTE.data || type === ATTRIBUTE.extents) && (onlyType === undefined || type === onlyType)
      && value.length >= extentsLayout.size && extentsLayout.view(value).NodeOffset >= extentsLayout.size && extentsLayout.view(value).Size === size);
    const versionOf = ({ key }: RecordRow): number => (key.length >= KEY.name + 8 ? new DataView(key.buffer, key.byteOffset).getUint32(KEY.name, true) : 0);
    const streams = fits.filter((row) => versionOf(row) !== STREAM_VERSION.counter);
    const chosen = streams.find((row) => row.type === ATTRIBUTE.data && versionOf(row) === STREAM_VERSION.live) ?? (streams.length === 1 ? streams[0] : undefined);
    if (chosen === undefined) return streams.length > 1 ? this.#unknown(`one of '${streams.length}' versions of a stream`) : undefined;
    return this.#runs(chosen.value);
  }

  #runs(value: Uint8Array): StreamPlace {
    const stream = extentsLayout.view(value);
    const at = stream.NodeOffset;
    if (at + nodeLayout.size > value.length) throw new FormatError('Read ReFS extents', { structure: this.#where, field: 'NodeOffset', found: at, expected: `at most ${value.length - nodeLayout.size}` });
    const head = nodeLayout.view(value, at);
    if (head.Level !== 0) this.#unknown('runs in pages of their own');
    const runs: StreamRun[] = [];
    for (let i = 0, from = at + head.DataStart; i < head.Count; i += 1) {
      if (from + runLayout.size > value.length) throw new FormatError('Read ReFS extents', { structure: this.#where, field: `run ${i}`, found: from, expected: `at most ${value.length - runLayout.size}` });
      const run = runLayout.view(value, from);
      const stride = RUN_STRIDES.get(run.Flags) ?? this.#unknown(`a run with the flags '${run.Flags.toString(16)}'`);
      runs.push({ fileCluster: run.FileCluster, cluster: run.Cluster, count: run.Length });
      from += stride;
    }
    return this.#settled(runs, stream);
  }

  /** Runs in order, without overlap; what is missing must be a hole. */
  #settled(found: readonly StreamRun[], { Size: size, ValidSize, Versions, DiskAllocated }: { readonly Size: number; readonly ValidSize: number; readonly Versions: number; readonly DiskAllocated: number }): StreamPlace {
    const runs = found.toSorted((a, b) => a.fileCluster - b.fileCluster);
    const sparse = (Versions & SPARSE) !== 0;
    const validBytes = Math.min(size, ValidSize);
    let end = 0;
    for (const { fileCluster, count } of runs) {
      if (fileCluster < end || count === 0) throw new FormatError('Read ReFS extents', { structure: this.#where, field: 'FileCluster', found: fileCluster, expected: `at least ${end}` });
      if (fileCluster > end && !sparse) this.#unknown('clusters without a run');
      end = fileCluster + count;
    }
    // A stream without runs of its own shares those of its last snapshot.
    if ((runs.length === 0 && validBytes > 0 && (DiskAllocated === 0 || !sparse)) || (!sparse && end * this.#clusterBytes < validBytes)) this.#unknown('clusters without a run');
    return { kind: 'runs', size, validBytes, runs };
  }

  /** @throws {UnsupportedError} */
  #unknown(what: string): never {
    throw new UnsupportedError(`Read ${this.#where}: ${what} is kept in a way that is not documented`);
  }

  /** The reparse point, if there is one. */
  reparsePoint(): ReparsePoint | undefined {
    const row = this.#rows.find(({ type }) => type === ATTRIBUTE.reparse);
    if (row === undefined || row.value.length < REPARSE.dataAt) return undefined;
    const view = new DataView(row.value.buffer, row.value.byteOffset, row.value.byteLength);
    const length = view.getUint16(REPARSE.lengthAt, true);
    if (REPARSE.dataAt + length > row.value.length) throw new FormatError('Read ReFS reparse point', { structure: this.#where, field: 'length', found: length, expected: `at most ${row.value.length - REPARSE.dataAt}` });
    return { tag: view.getUint32(REPARSE.tagAt, true), data: row.value.subarray(REPARSE.dataAt, REPARSE.dataAt + length) };
  }

  /** Extended attributes by name. @throws {FormatError} when their chain leads astray. */
  extendedAttributes(): ReadonlyMap<string, Uint8Array> {
    const found = new Map<string, Uint8Array>();
    const row = this.#rows.find(({ type }) => type === ATTRIBUTE.extendedAttributes);
    if (row === undefined) return found;
    const { value } = row;
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    for (let at = ATTRIBUTE_CHAIN_AT; at + ATTRIBUTE_HEAD <= value.length;) {
      const start = at + ATTRIBUTE_HEAD + view.getUint8(at + 5) + 1;
      const end = start + view.getUint16(at + 6, true);
      if (end > value.length) throw new FormatError('Read ReFS extended attributes', { structure: this.#where, field: 'EaValueLength', found: end, expected: `at most ${value.length}` });
      found.set(Buffer.from(value.subarray(at + ATTRIBUTE_HEAD, start - 1)).toString('latin1'), value.slice(start, end));
      const next = view.getUint32(at, true);
      if (next === 0) break;
      at += next;
    }
    return found;
  }
}
