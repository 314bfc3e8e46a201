/**
 * One session (job run) of a volume set: takes its blocks in order and keeps where its files are.
 *
 * Invariants: BlockNumber counts a session's blocks over all its volumes, so a jump means lost blocks; a record that does not
 * fit goes on in the session's next block with its stream negated and DataSize = what is left.
 */
import { HoldfastError, LimitError, type Limits } from '../../core/index.ts';
import { type AttributeRecord, FILE_TYPE, newAttributeRecord, parseAttributes } from './attributes.ts';
import { LABEL } from './block.layout.ts';
import { Column } from './column.ts';
import { FILE_FLAG, FileTable, type RecordPlace } from './file-table.ts';
import { parseSessionEnd, parseSessionStart, type SessionEnd, type SessionLabel } from './label.ts';
import type { PathTable } from './path-table.ts';
import type { DamagePlace, ProblemList, VolumeProblem, VolumeProblemKind } from './problem.ts';
import { checkRows, notStoredAgain, relink } from './session-check.ts';
import { frontOf, type Incoming, isLaterSpool, isNextSpool, isRestart, type OpenRecord, type SessionBlock, sessionStartOf, skipsFiles, startsWithSessionLabel, STOPPED } from './session-start.ts';
import { dataStream, isAppliedMetadata, STREAM, STREAM_BITS_UNSUPPORTED, STREAM_TYPE_MASK, streamRole } from './stream.ts';

/** What all sessions of a set share. */
export interface SetState {
  readonly limits: Limits;
  readonly paths: PathTable;
  readonly problems: ProblemList;
}

/** Built by a scan, then only read. */
export class SessionIndex {
  readonly id: number;
  readonly time: number;
  files: FileTable = new FileTable();
  /** Rows of the block table, in the session's order. */
  readonly blocks: Column = new Column(1);
  /** By number of a block: what was lost in front of it. */
  readonly gaps: Map<number, DamagePlace> = new Map();
  /** Places of restore objects. */
  readonly objects: RecordPlace[] = [];
  start: SessionLabel | undefined;
  end: SessionEnd | undefined;
  /** Job numbers of all start labels; a VirtualFull puts several jobs into one session, each with its own label. */
  readonly sourceJobs: number[] = [];
  /** Rows of blocks that do not belong where they came. */
  readonly leftOut: Column = new Column(1);
  /** Where the session came to a volume, something did not fit: the job may have used its volumes in another order. */
  breaksAtVolume = false;
  /** What followed is missing, so reading must not end quietly at the last block. */
  cutOff = false;
  readonly #state: SetState;
  readonly #record: AttributeRecord = newAttributeRecord();
  #open: OpenRecord | undefined;
  #number = -1;
  #block: SessionBlock | undefined;
  #lastIndex = 0;
  #bytes = 0;
  #row = -1;
  #rowIndex = 0;
  #rowBytes = 0;
  #rowDigests = 0;
  #rowRecords = 0;
  #lastRecord: RecordPlace | undefined;
  /** FileIndex in the text of the last attributes; it ascends within what one job wrote. */
  #textIndex = 0;
  #digests = 0;
  #ending: { readonly block: SessionBlock | undefined; readonly lastIndex: number; readonly bytes: number } | undefined;
  /** Paths that hard links name, by row of `files.linkRow`; only until the session is finished. */
  #linkPath = new Column();
  #skipping = false;
  #damaged = false;
  /** By path: files that a stopped job was storing, which it should have stored again when it was restarted. */
  readonly #stopped = new Map<number, DamagePlace>();
  /** A restarted job has not stored a file yet. */
  #restarted = false;
  /** Blocks are counted from 0 again with every spool. */
  #spooled = false;
  /** Since the last block, one was left out that was none of those seen. */
  #leftOutSince = false;

  constructor(id: number, time: number, state: SetState) {
    this.id = id;
    this.time = time;
    this.#state = state;
  }

  /** What problems say about whom they concern; no job number where the labels are lost. */
  get identity(): Pick<VolumeProblem, 'session' | 'jobId'> {
    const session = { id: this.id, time: this.time };
    return this.start === undefined ? { session } : { session, jobId: this.start.jobId };
  }

  get name(): string {
    return this.start === undefined ? `session ${this.id}/${this.time}` : `job ${this.start.jobId} (session ${this.id}/${this.time})`;
  }

  /** Whether start and end were seen and nothing between was lost. */
  get complete(): boolean {
    return this.start !== undefined && !this.cutOff && !this.#damaged;
  }

  /** Whether the session is a VirtualFull: FileIndexes are numbered anew, end labels are those of its source jobs or absent. */
  get consolidated(): boolean {
    return this.sourceJobs.length > 1;
  }

  /** Sum of the sizes of all records of files, as the end-of-session label counts them. */
  get bytesFound(): number {
    return this.#bytes;
  }

  /** Takes the session's next good block. */
  add(block: SessionBlock): void {
    const arrives = this.#block?.volume !== block.volume;
    const isNext = this.#continues(block);
    if (arrives && (!isNext || this.gaps.has(this.blocks.rows))) this.breaksAtVolume = true;
    if (!isNext) {
      this.leftOut.push(block.row);
      this.#leftOutSince ||= block.number !== this.#number || block.behindDamage;
      return;
    }
    this.#leftOutSince = false;
    this.#block = block;
    this.#number = block.number;
    this.blocks.push(block.row);
    const { payload } = block;
    const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
    let at = 0;
    while (at + 12 <= payload.length) {
      const size = view.getUint32(at + 8);
      const body = at + 12;
      const end = Math.min(body + size, payload.length);
      this.#take({ fileIndex: view.getInt32(at), stream: view.getInt32(at + 4), size, place: { block: this.blocks.rows - 1, offset: at }, bytes: payload.subarray(body, end) });
      at = end;
    }
    if (at !== payload.length) this.#problem('record-continuity', `'${payload.length - at}' bytes behind the last record are no record`);
  }

  /** Ends the scan: a session without its end label was cut off. */
  finish(lastVolume: string): void {
    if (this.end?.status === STOPPED) this.#endWith(this.end);
    if (this.end === undefined && !this.#endsWell()) this.#cutOff(lastVolume);
    this.#finishRow();
    for (const { path, place } of notStoredAgain(this.files, this.#stopped)) this.#reportDamage(path, place);
    if (this.consolidated) relink(this.files, this.#linkPath);
    this.#linkPath = new Column();
    this.#checkEnd();
    for (const { kind, row, message } of checkRows(this.files, this.#state.paths.count)) {
      const text = `Read ${this.name}: file ${this.files.fileIndex.get(row)} '${this.#pathText(row)}': ${message}`;
      this.#reportCounted(kind, { kind, volume: this.#block?.volume ?? '', message: text });
    }
  }

  /** 15.0.3 gives a VirtualFull no end label: it ends well where its last file does. */
  #endsWell(): boolean {
    if (!this.consolidated || this.#open !== undefined || this.#skipping) return false;
    return this.#row < 0 || this.#rowRecords === 0 || this.#rowDigests > 0 || this.#digests === 0;
  }

  #cutOff(lastVolume: string): void {
    this.cutOff = true;
    const last = this.#block;
    const place = { volume: last?.volume ?? lastVolume, block: this.#number + 1, offset: last?.end ?? 0 };
    const message = `Read ${this.name}: it has no end-of-session label; its last block, ${this.#number}, ends at offset ${place.offset} of volume '${place.volume}': `
      + 'the volume was cut short, blocks or its next volume are missing, or the job is still running';
    this.#report({ kind: 'missing-end-of-session', ...place, message });
    this.#lose({ ...place, message });
  }

  /** Row of the block that was taken last; -1 before the first. */
  get lastRow(): number {
    return this.#block?.row ?? -1;
  }

  /** Checks the block's number; false when the block is to be left out. */
  #continues(block: SessionBlock): boolean {
    if (this.end !== undefined && !this.consolidated && block.number !== this.#number && !startsWithSessionLabel(block.payload)) {
      this.#problem('block-order', `block ${block.number} follows the session's end`, block);
      return false;
    }
    const expected = this.#number + 1;
    if (this.#number < 0) {
      if (!startsWithSessionLabel(block.payload)) this.#missingStart(block);
      return true;
    }
    // Block 0 of a job that is not spooled begins with its label.
    if (block.number === 0 && !startsWithSessionLabel(block.payload)) this.#spooled = true;
    const follows = block.number === expected || (block.number === 0 && isNextSpool(frontOf(block.payload), this.#open, this.#lastIndex));
    if (follows && !this.#isDoubtful(block)) return true;
    if (this.start !== undefined && (this.end?.status ?? STOPPED) === STOPPED && !this.consolidated && isRestart(this.start, sessionStartOf(block.payload))) return this.#restart(block);
    const isDamaged = block.afterDamage || block.behindDamage;
    if (follows || (block.number <= this.#number && isLaterSpool(frontOf(block.payload), this.#lastIndex, isDamaged && this.#spooled))) {
      this.#spooled = true;
      this.#gap(block, expected, 'missing-blocks', `blocks of ${this.name} are missing from block ${expected} on, to block ${block.number} of a later spool`);
      return true;
    }
    if (block.number < expected) {
      this.#problem(block.number === this.#number ? 'duplicate-block' : 'block-order', `block ${block.number} comes again, expected block ${expected}; it is left out`, block);
      return false;
    }
    const other = !block.afterDamage && this.#block?.volume !== block.volume;
    const message = `blocks ${expected} to ${block.number - 1} of ${this.name} are missing`
      + (other ? ` between volumes '${this.#block?.volume ?? ''}' and '${block.volume}': a volume is missing or was cut short` : '');
    this.#gap(block, expected, other ? 'missing-volume' : 'missing-blocks', message);
    return true;
  }

  /** Whether blocks may be missing in front of one whose number fits: each spool has the same numbers, so that what was lost may have ended where a spool did. An open record tells by its rest. */
  #isDoubtful({ behindDamage, payload }: SessionBlock): boolean {
    if (this.#open !== undefined || !(behindDamage || this.#leftOutSince)) return false;
    return this.#spooled || this.#leftOutSince || skipsFiles(frontOf(payload), this.#lastIndex);
  }

  /** Bacula restarts a stopped job in the session that it had, with a new start label and blocks from 0 on (measured, 9.6.7); its end label counts what came after that. */
  #restart({ volume, number, offset }: SessionBlock): true {
    const row = this.#row;
    const place = { volume, block: number, offset, message: 'the job was stopped before all of it was stored, and restarted without it' };
    const isPart = row >= 0 && this.#rowDigests === 0 && (this.#open !== undefined || ((this.#rowRecords > 0 || this.files.type.get(row) === FILE_TYPE.REG) && (this.#digests > 0 || this.#rowBytes < this.files.size.get(row))));
    if (isPart) {
      this.files.damage.set(row, place);
      this.#stopped.set(this.files.path.get(row), place);
    }
    this.#finishRow();
    if (isPart) this.files = this.files.head(row);
    [this.#open, this.#skipping, this.#restarted, this.#bytes] = [undefined, false, true, 0];
    return true;
  }

  #missingStart(block: SessionBlock): void {
    const message = block.firstOnVolume && !block.afterDamage && block.number > 1
      ? `${this.name} begins on an earlier volume that was not given: its first block here is ${block.number}`
      : `${this.name} has no start-of-session label: its first block here is ${block.number}`;
    this.#gap(block, 0, block.firstOnVolume && !block.afterDamage && block.number > 1 ? 'missing-volume' : 'missing-start-of-session', message);
  }

  #gap(block: SessionBlock, expected: number, kind: VolumeProblemKind, message: string): void {
    this.#report({ kind, volume: block.volume, block: expected, offset: block.offset, message: `Read volume '${block.volume}' at offset ${block.offset}: ${message}` });
    const place = { volume: block.volume, block: expected, offset: block.offset, message };
    this.gaps.set(this.blocks.rows, place);
    this.#lose(place);
  }

  /** What was being read when something was lost can not be complete, unless its digest had already been stored. */
  #lose(place: DamagePlace): void {
    this.#damaged = true;
    this.#open = undefined;
    if (this.#row >= 0 && this.#rowDigests === 0) this.#markDamaged(place);
    this.#finishRow();
    this.#skipping = true;
  }

  #markDamaged(place: DamagePlace): void {
    this.files.damage.set(this.#row, place);
    this.#reportDamage(this.files.path.get(this.#row), place);
  }

  #reportDamage(path: number, place: DamagePlace): void {
    this.#report({
      kind: 'damaged-file', volume: place.volume, block: place.block, offset: place.offset,
      message: `Read ${this.name}: '/${Buffer.from(this.#state.paths.bytes(path)).toString('utf8')}' is damaged or may miss data: ${place.message}`,
    });
  }

  #take(record: Incoming): void {
    const { fileIndex, stream, size, place, bytes } = record;
    if (fileIndex < 0) return this.#label(fileIndex, bytes, size);
    if (stream < 0) return this.#continuation(record);
    if (this.#open !== undefined) this.#broken(`record of file ${this.#open.fileIndex}, stream ${this.#open.stream}, is not continued`);
    if (fileIndex === 0) return this.#problem('bad-record', `a record has FileIndex '0' and stream '${stream}'`);
    this.#bytes += size;
    if (bytes.length === size) return this.#complete(record);
    const parsed = streamRole(stream & STREAM_TYPE_MASK).startsWith('attributes'); // whose bytes the index needs
    if (parsed && size > this.#state.limits.baculaRecordBytesMax) throw new LimitError('baculaRecordBytesMax', size, this.#state.limits.baculaRecordBytesMax, this.name);
    this.#open = { fileIndex, stream, size, place, remaining: size - bytes.length, pieces: parsed ? [new Uint8Array(bytes)] : undefined };
  }

  #continuation(piece: Incoming): void {
    const open = this.#open;
    const { fileIndex, size, bytes } = piece;
    const stream = -piece.stream;
    if (open === undefined) {
      if (!this.#skipping) this.#broken(`a piece of file ${fileIndex}, stream ${stream}, continues nothing`);
      return;
    }
    if (open.fileIndex !== fileIndex || open.stream !== stream || open.remaining !== size) {
      return this.#broken(`a piece of file ${fileIndex}, stream ${stream}, '${size}' bytes, does not continue file ${open.fileIndex}, stream ${open.stream}, '${open.remaining}' bytes`);
    }
    open.remaining -= bytes.length;
    open.pieces?.push(new Uint8Array(bytes));
    if (open.remaining > 0) return;
    this.#open = undefined;
    this.#complete({ ...open, bytes: open.pieces === undefined ? bytes : Buffer.concat(open.pieces) });
  }

  #broken(message: string): void {
    this.#problem('record-continuity', message);
    const block = this.#block;
    this.#lose({ volume: block?.volume ?? '', block: block?.number ?? 0, offset: block?.offset ?? 0, message });
  }

  /** A record all of whose pieces are there; `bytes` is whole only for what is parsed here. */
  #complete(record: Incoming): void {
    const { fileIndex, stream, size, place, bytes } = record;
    const type = stream & STREAM_TYPE_MASK;
    const role = streamRole(type);
    this.#lastIndex = fileIndex;
    if (role === 'attributes' || role === 'attributes-update') return this.#attributes(fileIndex, bytes, place, role === 'attributes-update');
    if (role === 'object') {
      this.objects.push(place);
      return;
    }
    if (role === 'plugin') return;
    if (role === 'not-applied' || role === 'unknown') {
      return this.#notApplied(role === 'unknown' ? 'unknown-stream' : 'stream-not-applied', fileIndex, stream);
    }
    if (this.#row < 0 || fileIndex !== this.#rowIndex) {
      if (!this.#skipping) this.#problem('orphan-record', `a record of file ${fileIndex}, stream ${type}, has no attributes in front of it`);
      return;
    }
    if (role === 'data') this.#data(stream, type, size, place);
    else if (role === 'digest') this.#digest(type);
    else if (type === STREAM.SIGNED_DIGEST) this.files.flags.setLast(this.files.flags.get(this.#row) | FILE_FLAG.signed);
    else if (role === 'metadata') {
      this.files.metadataRow.push(this.#row);
      this.files.metadataBlock.push(place.block);
      this.files.metadataOffset.push(place.offset);
      if (!isAppliedMetadata(type)) this.#notApplied('stream-not-applied', fileIndex, stream);
    }
  }

  #notApplied(kind: VolumeProblemKind, fileIndex: number, stream: number): void {
    const block = this.#block;
    this.#reportCounted(`${kind}/${stream}`, {
      kind, volume: block?.volume ?? '', block: block?.number ?? 0, offset: block?.offset ?? 0,
      message: `Read ${this.name}: file ${fileIndex} has a record of stream '${stream}' that is ${kind === 'unknown-stream' ? 'unknown' : 'known but not applied'}`,
    });
  }

  #data(stream: number, type: number, size: number, place: RecordPlace): void {
    const known = this.files.stream.get(this.#row);
    if (known !== 0 && known !== type) this.#problem('mixed-streams', `file ${this.#rowIndex} has content in streams '${known}' and '${type}'; only the first is read`);
    else this.files.stream.setLast(type);
    const unsupported = (stream & STREAM_BITS_UNSUPPORTED) !== 0 ? `stream '${stream}' (offsets, delta or deduplicated data)` : dataStream(type)?.unsupported;
    if (unsupported !== undefined) {
      const block = this.#block;
      this.#reportCounted(`unsupported/${type}`, {
        kind: 'unsupported-stream', volume: block?.volume ?? '', block: block?.number ?? 0, offset: block?.offset ?? 0,
        message: `Read ${this.name}: the content of file ${this.#rowIndex} is ${unsupported}, which is not supported`,
      });
    }
    this.#rowBytes += size;
    this.#rowRecords += 1;
    this.#lastRecord = place;
  }

  #digest(type: number): void {
    this.#rowDigests += 1;
    this.#digests += 1;
    if (this.#rowDigests > 1) this.#problem('duplicate-stream', `file ${this.#rowIndex} has a second digest, in stream '${type}'`);
    this.files.digest.setLast(type);
  }

  #attributes(fileIndex: number, bytes: Uint8Array, place: RecordPlace, update: boolean): void {
    this.#finishRow();
    if (this.#restarted) this.files = this.files.head(this.files.fileIndex.lowerBound(fileIndex)); // from there on it stores its files again
    this.#restarted = false;
    this.#skipping = false;
    try {
      parseAttributes(bytes, this.#record);
      this.#checkTextIndex(fileIndex, this.#record.fileIndex);
      const path = this.#state.paths.intern(this.#record.name);
      if (path === undefined) return this.#leaveOut('bad-path', `file ${fileIndex} has '.' or '..' in its name '${Buffer.from(this.#record.name).toString('utf8')}'`);
      this.#record.fileIndex = fileIndex;
      if (this.files.rows >= this.#state.limits.baculaFilesMax) throw new LimitError('baculaFilesMax', this.files.rows + 1, this.#state.limits.baculaFilesMax, this.name);
      if (this.files.rows > 0 && fileIndex <= this.files.fileIndex.get(this.files.rows - 1)) this.#problem('bad-record', `file ${fileIndex} comes after file ${this.files.fileIndex.get(this.files.rows - 1)}`);
      const isLink = this.#record.type === FILE_TYPE.LNKSAVED;
      const link = isLink ? this.#state.paths.intern(this.#record.link) ?? 0 : 0;
      const metadataOnly = update || this.#record.type === FILE_TYPE.BASE || this.#record.type === FILE_TYPE.NOCHG;
      this.#row = this.files.add(this.#record, path, place, metadataOnly ? FILE_FLAG.metadataOnly : 0);
      this.#rowIndex = fileIndex;
      if (isLink) this.#linkPath.push(link);
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      this.#leaveOut('bad-attributes', error.message);
    }
  }

  /**
   * A VirtualFull numbers its files anew in the records' heads and leaves the texts as they were; the heads rule. It leaves out
   * what a later job replaces, so that even the texts of its first job have gaps.
   */
  #checkTextIndex(fileIndex: number, text: number): void {
    if (!this.consolidated && text <= this.#textIndex) this.#problem('bad-attributes', `file ${fileIndex} has attributes that say '${text}' after '${this.#textIndex}'`);
    this.#textIndex = text;
  }

  #leaveOut(kind: VolumeProblemKind, message: string): void {
    this.#problem(kind, `${message}; it is left out`);
    this.#skipping = true;
  }

  /** Ends the current file: does its content have the size that its attributes promise? */
  #finishRow(): void {
    const row = this.#row;
    if (row < 0) return;
    const { files } = this;
    const type = files.type.get(row);
    const stream = files.stream.get(row);
    const size = files.size.get(row);
    const packed = dataStream(stream);
    const whole = !files.damage.has(row) && (files.flags.get(row) & FILE_FLAG.metadataOnly) === 0;
    if (packed !== undefined && packed.packing === 'plain' && !packed.sparse && !packed.encrypted && this.#rowBytes !== size && !files.damage.has(row)) {
      files.actualSize.set(row, this.#rowBytes);
      if (whole && size >= 0 && type === FILE_TYPE.REG) {
        this.#problem('size-differs', `file ${this.#rowIndex} '${this.#pathText(row)}' has '${this.#rowBytes}' bytes of content where its attributes say '${size}'; it changed while it was backed up`);
      }
    }
    if (packed === undefined && type === FILE_TYPE.REG && size > 0 && whole) {
      if (this.#rowDigests > 0) {
        files.actualSize.set(row, 0);
        this.#problem('size-differs', `file ${this.#rowIndex} '${this.#pathText(row)}' has no content where its attributes say '${size}' bytes`);
      } else this.#problem('missing-data', `file ${this.#rowIndex} '${this.#pathText(row)}' has no content where its attributes say '${size}' bytes: the client could not read it`);
    }
    if (packed !== undefined && this.#rowRecords > 1 && (packed.packing !== 'plain' || packed.sparse) && !packed.encrypted) {
      files.packedRow.push(row);
      files.packedRecords.push(this.#rowRecords);
      files.packedBlock.push(this.#lastRecord?.block ?? 0);
      files.packedOffset.push(this.#lastRecord?.offset ?? 0);
    }
    this.#row = -1;
    this.#rowIndex = 0;
    this.#rowBytes = 0;
    this.#rowRecords = 0;
    this.#rowDigests = 0;
  }

  #pathText(row: number): string {
    return `/${Buffer.from(this.#state.paths.bytes(this.files.path.get(row))).toString('utf8')}`;
  }

  #label(fileIndex: number, bytes: Uint8Array, size: number): void {
    try {
      if (fileIndex !== LABEL.SOS_LABEL && fileIndex !== LABEL.EOS_LABEL) return;
      if (bytes.length !== size) return this.#problem('bad-label', 'a session label is cut short');
      if (fileIndex === LABEL.SOS_LABEL) return this.#begin(parseSessionStart(bytes));
      this.end = parseSessionEnd(bytes);
      this.#ending = { block: this.#block, lastIndex: this.#lastIndex, bytes: this.#bytes };
      if (this.end.status !== STOPPED) this.#endWith(this.end); // else it may be restarted yet
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      this.#problem('bad-label', error.message);
    }
  }

  #endWith({ errors, status }: SessionEnd): void {
    if (!'TW'.includes(status)) this.#endEarly(status);
    this.#finishRow();
    if (!'TW'.includes(status) || errors > 0) this.#problem('job-not-ok', `the job ended with status '${status}' and '${errors}' errors`);
  }

  #begin(label: SessionLabel): void {
    this.start ??= label;
    if (!this.sourceJobs.includes(label.jobId)) this.sourceJobs.push(label.jobId);
    // What follows belongs to a session that is not over.
    this.end = undefined;
    this.#textIndex = 0;
  }

  /** The file that was being stored when a job was cancelled or failed has an end only where its digest was stored. */
  #endEarly(status: string): void {
    const row = this.#row;
    if (row < 0 || this.#rowDigests > 0 || this.#rowRecords === 0 || (this.#digests === 0 && this.#rowBytes >= this.files.size.get(row))) return;
    const block = this.#block;
    const message = `the job ended with status '${status}' before all of the file was stored`;
    this.#markDamaged({ volume: block?.volume ?? '', block: block?.number ?? 0, offset: block?.offset ?? 0, message });
  }

  /** Counts of source jobs say nothing about a VirtualFull. */
  #checkEnd(): void {
    const { end } = this;
    const ending = this.#ending;
    if (end === undefined || ending === undefined || this.consolidated) return;
    if (end.files !== ending.lastIndex || end.bytes !== ending.bytes) {
      this.#problem('end-count-differs', `the end-of-session label counts '${end.files}' files and '${end.bytes}' bytes, found '${ending.lastIndex}' and '${ending.bytes}'`, ending.block);
    }
  }

  /** Adds a problem of this session. */
  #report(problem: VolumeProblem): void {
    this.#state.problems.add({ ...problem, ...this.identity });
  }

  /** Keeps the first problem of a `key` in this session and counts the others. */
  #reportCounted(key: string, problem: VolumeProblem): void {
    this.#state.problems.addCounted(`${key}/${this.id}/${this.time}`, { ...problem, ...this.identity });
  }

  #problem(kind: VolumeProblemKind, message: string, block: SessionBlock | undefined = this.#block): void {
    this.#report({
      kind, volume: block?.volume ?? '', block: block?.number ?? 0, offset: block?.offset ?? 0,
      message: `Read ${this.name} in block ${block?.number ?? 0} at offset ${block?.offset ?? 0} of volume '${block?.volume ?? ''}': ${message}`,
    });
  }
}
