/** The two kinds of file that a PosixSink hands out: a new one, and one that is left as it is. */
import { IntegrityError, type CommitExpectation, type PendingFile } from '../../core/index.ts';
import type { SparseWriter } from './sparse-writer.ts';
import { systemError, type SystemCalls } from './system-calls.ts';

/** What the sink does for a file at its end. */
export interface FileEnd {
  readonly calls: SystemCalls;
  /** Open for writing; the file closes it. */
  readonly fd: number;
  /** For messages. */
  name(): string;
  applyMetadata(): void;
  /** Gives the final name. */
  take(): void;
  /** Removes the temporary file. */
  remove(): void;
  /** Called once, after a commit that held or an abort. */
  ended(): unknown;
}

/** @throws {IntegrityError} when the bytes written are not the bytes verified. */
function checkExpectation(file: Pick<FileEnd, 'name'>, bytes: number, end: number, expected: CommitExpectation): void {
  if (bytes === expected.verifiedBytes && end <= expected.size) return;
  // Only now: making the text of a path for each file was a twentieth of a restore of small files.
  const name = file.name();
  throw new IntegrityError(
    `Commit '${name}': wrote '${bytes}' bytes up to '${end}', expected '${expected.verifiedBytes}' verified bytes within '${expected.size}'`,
    { path: name, written: bytes, end, verified: expected.verifiedBytes, size: expected.size },
  );
}

/** A file under a temporary name. */
export class NewFile implements PendingFile {
  readonly #writer: SparseWriter;
  readonly #end: FileEnd;
  #state: 'open' | 'closed' | 'ended' = 'open';

  constructor(writer: SparseWriter, end: FileEnd) {
    this.#writer = writer;
    this.#end = end;
  }

  async writeFrom(offset: number, bytes: Uint8Array): Promise<void> {
    if (this.#state !== 'open') throw new RangeError(`Write '${this.#end.name()}': it has ended`);
    this.#writer.write(offset, bytes);
  }

  async commit(expected: CommitExpectation): Promise<void> {
    const end = this.#end;
    if (this.#state !== 'open') throw new RangeError(`Commit '${end.name()}': it has ended`);
    checkExpectation(end, this.#writer.bytes, this.#writer.end, expected);
    this.#writer.finish();
    if (this.#writer.stored !== expected.size) {
      const failed = end.calls.truncate(end.fd, expected.size);
      if (failed < 0) throw systemError(`Set size of '${end.name()}' to ${expected.size}`, failed);
    }
    end.applyMetadata();
    this.#state = 'closed';
    // Before the rename: network filesystems report a full disk here.
    const failed = end.calls.close(end.fd);
    if (failed < 0) throw systemError(`Close '${end.name()}'`, failed);
    end.take();
    this.#state = 'ended';
    end.ended();
  }

  async abort(): Promise<void> {
    if (this.#state === 'ended') return;
    if (this.#state === 'open') this.#end.calls.close(this.#end.fd);
    this.#state = 'ended';
    this.#end.ended();
    this.#end.remove();
  }
}

/** A file that the target has already: what is written is only counted, its metadata is applied. */
export class UnchangedFile implements PendingFile {
  /** A producer may skip writing: then it commits with 0 verified bytes. */
  readonly unchanged = true;
  readonly #end: Pick<FileEnd, 'name' | 'applyMetadata' | 'ended'>;
  #bytes = 0;
  #highest = 0;
  #open = true;

  constructor(end: Pick<FileEnd, 'name' | 'applyMetadata' | 'ended'>) {
    this.#end = end;
  }

  async writeFrom(offset: number, bytes: Uint8Array): Promise<void> {
    this.#bytes += bytes.length;
    this.#highest = Math.max(this.#highest, offset + bytes.length);
  }

  async commit(expected: CommitExpectation): Promise<void> {
    checkExpectation(this.#end, this.#bytes, this.#highest, expected);
    this.#end.applyMetadata();
    await this.abort();
  }

  async abort(): Promise<void> {
    if (this.#open) this.#end.ended();
    this.#open = false;
  }
}
