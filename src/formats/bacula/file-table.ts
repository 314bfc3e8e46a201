/** The files of one session in the order of their attribute records: packed columns of numbers, 10 to 20 bytes a file. */
import { type AttributeRecord, FILE_TYPE, LSTAT } from './attributes.ts';
import { Column } from './column.ts';
import type { DamagePlace } from './problem.ts';

/** A record's place: `block` counts the session's blocks, `offset` is in bytes of that block's payload. */
export interface RecordPlace {
  readonly block: number;
  readonly offset: number;
}

/** What rows share: few combinations serve millions of files. */
export interface Owner {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** Bits of {@link FileTable.flags}. */
export const FILE_FLAG = {
  /** A signature was stored. */
  signed: 1,
  /** Attributes only: the content is that of an earlier job. */
  metadataOnly: 2,
} as const;

/** Columns with a value for each row, but for the owner. */
const ROW_COLUMNS = ['fileIndex', 'path', 'type', 'stream', 'flags', 'digest', 'block', 'offset', 'size', 'modified', 'accessed', 'changed'] as const;
/** Columns of some rows: the ascending row first. */
const SPARSE_COLUMNS = [['linkRow', 'linkTarget'], ['metadataRow', 'metadataBlock', 'metadataOffset'], ['packedRow', 'packedRecords', 'packedBlock', 'packedOffset']] as const;

/** Columns by row; rows are only appended, and only the last one may still change. */
export class FileTable {
  readonly fileIndex: Column = new Column(1);
  /** A job that is the first to name its files gets their numbers in a row. */
  readonly path: Column = new Column(1);
  readonly type: Column = new Column();
  /** Number of the content stream; 0 without content. */
  readonly stream: Column = new Column();
  readonly flags: Column = new Column();
  /** Number of the digest stream; 0 without a digest. A digest comes last, so where it is seen the file's records are complete. */
  readonly digest: Column = new Column();
  readonly block: Column = new Column();
  readonly offset: Column = new Column();
  /** Which of the session's few combinations of mode, uid and gid. */
  readonly #owner = new Column();
  readonly #owners: Owner[] = [];
  readonly #ownerNumbers = new Map<string, number>();
  #lastOwner = 0;
  /** Bytes as LStat has them; −1 when the client did not know. */
  readonly size: Column = new Column();
  /** Times in seconds since 1970. */
  readonly modified: Column = new Column();
  readonly accessed: Column = new Column();
  readonly changed: Column = new Column();
  /** Rows of hard-link entries, ascending, and the FileIndex whose data they share. */
  readonly linkRow: Column = new Column();
  linkTarget: Column = new Column();
  /** ACL and attribute records: row (ascending) and place. */
  readonly metadataRow: Column = new Column();
  readonly metadataBlock: Column = new Column();
  readonly metadataOffset: Column = new Column();
  /** Rows of compressed or sparse content in more than one record: how many, and where the last one is. */
  readonly packedRow: Column = new Column();
  readonly packedRecords: Column = new Column();
  readonly packedBlock: Column = new Column();
  readonly packedOffset: Column = new Column();
  /** Bytes that the content really has, where LStat says otherwise. */
  readonly actualSize: Map<number, number> = new Map();
  /** Rows some of whose records may be lost. */
  readonly damage: Map<number, DamagePlace> = new Map();

  /** Rows that say something was deleted. */
  deletions = 0;
  /** Rows whose entry is in a Base job. */
  baseEntries = 0;

  get rows(): number {
    return this.path.rows;
  }

  /** Appends a row; returns its number. */
  add(record: AttributeRecord, path: number, place: RecordPlace, flags: number): number {
    const row = this.rows;
    const { lstat } = record;
    this.fileIndex.push(record.fileIndex);
    this.path.push(path);
    this.type.push(record.type);
    this.stream.push(0);
    this.flags.push(flags);
    this.digest.push(0);
    this.block.push(place.block);
    this.offset.push(place.offset);
    this.#owner.push(this.#ownerNumber(lstat));
    this.size.push(lstat[LSTAT.size] as number);
    this.modified.push(lstat[LSTAT.mtime] as number);
    this.accessed.push(lstat[LSTAT.atime] as number);
    this.changed.push(lstat[LSTAT.ctime] as number);
    if (record.type === FILE_TYPE.LNKSAVED) {
      this.linkRow.push(row);
      this.linkTarget.push(lstat[LSTAT.LinkFI] as number);
    }
    if (record.type === FILE_TYPE.DELETED) this.deletions += 1;
    if (record.type === FILE_TYPE.BASE) this.baseEntries += 1;
    return row;
  }

  /** A table with the first `rows` rows, to go on with; this one when it has no others. */
  head(rows: number): FileTable {
    if (rows >= this.rows) return this;
    const kept = new FileTable();
    for (const name of ROW_COLUMNS) for (let row = 0; row < rows; row += 1) kept[name].push(this[name].get(row));
    for (let row = 0; row < rows; row += 1) kept.#owner.push(this.#owner.get(row));
    for (const [number, owner] of this.#owners.entries()) {
      kept.#owners.push(owner);
      kept.#ownerNumbers.set(`${owner.mode} ${owner.uid} ${owner.gid}`, number);
    }
    for (const names of SPARSE_COLUMNS) {
      const end = this[names[0]].lowerBound(rows);
      for (const name of names) for (let at = 0; at < end; at += 1) kept[name].push(this[name].get(at));
    }
    for (const [row, bytes] of this.actualSize) if (row < rows) kept.actualSize.set(row, bytes);
    for (const [row, place] of this.damage) if (row < rows) kept.damage.set(row, place);
    for (let row = 0; row < rows; row += 1) {
      if (this.type.get(row) === FILE_TYPE.DELETED) kept.deletions += 1;
      if (this.type.get(row) === FILE_TYPE.BASE) kept.baseEntries += 1;
    }
    return kept;
  }

  /** Mode (type bits included), uid and gid of a row. */
  owner(row: number): Owner {
    return this.#owners[this.#owner.get(row)] as Owner;
  }

  #ownerNumber(lstat: Float64Array): number {
    const owner = { mode: (lstat[LSTAT.mode] as number) >>> 0, uid: (lstat[LSTAT.uid] as number) >>> 0, gid: (lstat[LSTAT.gid] as number) >>> 0 };
    const last = this.#owners[this.#lastOwner];
    if (last !== undefined && last.mode === owner.mode && last.uid === owner.uid && last.gid === owner.gid) return this.#lastOwner;
    const key = `${owner.mode} ${owner.uid} ${owner.gid}`;
    let number = this.#ownerNumbers.get(key);
    if (number === undefined) {
      number = this.#owners.push(owner) - 1;
      this.#ownerNumbers.set(key, number);
    }
    this.#lastOwner = number;
    return number;
  }

  /** FileIndex that a hard-link row shares its data with; undefined for other rows. */
  linkOf(row: number): number | undefined {
    const at = this.linkRow.lowerBound(row);
    return at < this.linkRow.rows && this.linkRow.get(at) === row ? this.linkTarget.get(at) : undefined;
  }

  /** Row of a FileIndex; undefined when its attributes were not found. */
  rowOf(fileIndex: number): number | undefined {
    const at = this.fileIndex.lowerBound(fileIndex);
    return at < this.rows && this.fileIndex.get(at) === fileIndex ? at : undefined;
  }

  /** Number of content records of a compressed or sparse row, and a place from which the last one is the first to be met. */
  lastRecordOf(row: number): { readonly records: number; readonly place: RecordPlace } {
    const at = this.packedRow.lowerBound(row);
    if (at >= this.packedRow.rows || this.packedRow.get(at) !== row) return { records: 1, place: { block: this.block.get(row), offset: this.offset.get(row) } };
    return { records: this.packedRecords.get(at), place: { block: this.packedBlock.get(at), offset: this.packedOffset.get(at) } };
  }

  /** Places of a row's ACL and attribute records. */
  metadataOf(row: number): readonly RecordPlace[] {
    const places: RecordPlace[] = [];
    for (let at = this.metadataRow.lowerBound(row); at < this.metadataRow.rows && this.metadataRow.get(at) === row; at += 1) {
      places.push({ block: this.metadataBlock.get(at), offset: this.metadataOffset.get(at) });
    }
    return places;
  }
}
