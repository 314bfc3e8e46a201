/** What answers requests: a tree, or a store of files. */
import type { Refusal } from './errno.ts';
import type { LaneMemory } from './append-lane.ts';
import type { FuseRequest } from './request.ts';

/** A reply's body in buffers that go back when the kernel has its copy, or nobody wants it any more. */
export class Lent {
  readonly parts: readonly Uint8Array[];
  readonly release: () => void;
  constructor(parts: readonly Uint8Array[], release: () => void) {
    this.parts = parts;
    this.release = release;
  }
}

/** Body of a reply in one or several parts, which are copied before the next turn of the event loop; `none` for an empty one; a refusal. */
export type Reply = Uint8Array | readonly Uint8Array[] | Lent | 'none' | Refusal;

/** What a handler wants of the kernel. */
export interface HandlerSettings {
  /** Largest data of one write in bytes, a multiple of 4096; 4096 for what is never written. */
  readonly writeBytesMax: number;
  /** Flags of `FUSE_INIT` beyond those of every session. */
  readonly flags: number;
  /** Lanes through which threads append to files of the handler, when it opens them. */
  readonly lanes?: readonly LaneMemory[];
}

/**
 * Answers requests, several at a time. Whatever it throws becomes an error number for the program that asked, and is reported. A request
 * `unknown` or without meaning here is refused with ENOSYS. `init`, `interrupt` and `destroy` never get here.
 */
export interface FuseHandler {
  readonly settings: HandlerSettings;
  /** `forget` is answered at once and its reply is dropped. Data and names of the request are valid until the promise has resolved. */
  handle(request: FuseRequest): Promise<Reply> | Reply;
  /** After the last request; releases what is still open. */
  close(): Promise<void>;
}
