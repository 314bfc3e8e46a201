/** What a scan of all volumes collects: a table of blocks, the sessions with their files, and the problems. */
import { HoldfastError, type OpenContext } from '../../core/index.ts';
import type { BlockHead } from './block.ts';
import { FILE_TYPE } from './attributes.ts';
import { BlockTable } from './block-table.ts';
import { PathTable } from './path-table.ts';
import { ProblemList } from './problem.ts';
import { SessionIndex } from './session-index.ts';
import { labelBytes, labelOfBlock, RECORD_HEAD_BYTES } from './volume-head.ts';
import type { ScanFault, ScanVisitor } from './volume-scan.ts';

/** Takes the volumes one after the other, in the order they were written. */
export class SetScan implements ScanVisitor {
  readonly table: BlockTable = new BlockTable();
  readonly paths: PathTable;
  readonly problems: ProblemList = new ProblemList();
  readonly sessions: Map<string, SessionIndex> = new Map();
  readonly #context: OpenContext;
  #volume = 0;
  #name = '';
  #dataBlocks = 0;
  #damaged = false;
  #sawChecksum = false;
  #unchecked = 0;
  #firstUnchecked: { readonly block: number; readonly offset: number } | undefined;

  constructor(context: OpenContext) {
    this.#context = context;
    this.paths = new PathTable(context.limits);
  }

  begin(volume: number, name: string): void {
    this.#volume = volume;
    this.#name = name;
    this.#dataBlocks = 0;
    this.#damaged = false;
    this.#sawChecksum = false;
    this.#unchecked = 0;
    this.#firstUnchecked = undefined;
  }

  /** Blocks with data on the current volume. */
  get dataBlocks(): number {
    return this.#dataBlocks;
  }

  knowsSession(sessionId: number, sessionTime: number): boolean {
    return this.sessions.has(`${sessionId}/${sessionTime}`);
  }

  fault(fault: ScanFault): void {
    this.#damaged = true;
    const { kind, offset, message } = fault;
    this.problems.add(fault.block === undefined ? { kind, volume: this.#name, offset, message } : { kind, volume: this.#name, block: fault.block, offset, message });
  }

  block(head: BlockHead, block: Uint8Array, offset: number): void {
    const payload = block.subarray(head.headBytes);
    this.#checkChecksummed(head, offset);
    try {
      // Written to a FIFO, the block of the label holds the first records, too.
      if (labelOfBlock(head, payload) !== undefined && labelBytes(payload) + RECORD_HEAD_BYTES > payload.length) return;
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      this.problems.add({ kind: 'bad-label', volume: this.#name, block: head.number, offset, message: error.message });
      return;
    }
    const key = `${head.sessionId}/${head.sessionTime}`;
    let session = this.sessions.get(key);
    if (session === undefined) {
      session = new SessionIndex(head.sessionId, head.sessionTime, { limits: this.#context.limits, paths: this.paths, problems: this.problems });
      this.sessions.set(key, session);
    }
    const row = this.table.add(this.#volume, offset, head.size, head.number);
    session.add({ row, volume: this.#name, number: head.number, offset, end: offset + head.size, payload, firstOnVolume: this.#dataBlocks === 0, afterDamage: this.#damaged });
    this.#dataBlocks += 1;
  }

  /** A volume has checksums on all blocks or on none: one without among others may be damaged where nothing else tells. */
  #checkChecksummed(head: BlockHead, offset: number): void {
    if (head.checksummed) this.#sawChecksum = true;
    else {
      this.#unchecked += 1;
      this.#firstUnchecked ??= { block: head.number, offset };
    }
  }

  /** Ends the scan. A Full whose Base job is on none of the volumes is not complete. */
  finish(lastVolume: string): void {
    const sessions = [...this.sessions.values()];
    for (const session of sessions) session.finish(lastVolume);
    this.paths.seal();
    if (!sessions.some(({ files }) => files.baseEntries > 0)) return;
    const held = new Uint8Array(this.paths.count);
    for (const { start, files } of sessions) {
      for (let row = 0; start?.level === 'B' && row < files.rows; row += 1) held[files.path.get(row)] = 1;
    }
    for (const { files, name, identity } of sessions) {
      let missing = 0;
      for (let row = 0; row < files.rows; row += 1) if (files.type.get(row) === FILE_TYPE.BASE && held[files.path.get(row)] === 0) missing += 1;
      if (missing === 0) continue;
      this.problems.add({ kind: 'missing-base', volume: '', ...identity, message: `Read ${name}: '${missing}' of its entries are in a Base job that is on none of these volumes; add those of the Base job that the catalog names for it` });
    }
  }

  /** Ends the current volume. */
  finishVolume(): void {
    const first = this.#firstUnchecked;
    if (first === undefined || !this.#sawChecksum) return;
    this.problems.add({
      kind: 'checksum-missing', volume: this.#name, ...first,
      message: `Read volume '${this.#name}' at offset ${first.offset}: block ${first.block} has no checksum where others have one ('${this.#unchecked}' such blocks)`,
    });
  }
}
