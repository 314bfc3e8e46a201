/** A format turns bytes into something else: a tree, other bytes, a table of volumes. */
import type { BlockSource } from './block-source.ts';
import type { Limits } from './limits.ts';

/** A probe's answer. `damaged`: surely this format, but its head cannot be used. */
export type ProbeVerdict =
  | { readonly match: 'no' }
  | { readonly match: 'yes'; readonly version: string }
  | { readonly match: 'damaged'; readonly reason: string };

/** What an opener may use besides the bytes. References are never followed except through `resolveReference`. */
export interface OpenContext {
  readonly limits: Limits;
  readonly signal?: AbortSignal;
  /** Keys the user gave, in file order: PEM text, raw key bytes or key files as they are; the format picks what fits. */
  readonly keys?: readonly Uint8Array[];
  resolveReference?(name: string): Promise<BlockSource>;
}

/** A reader of one format, pure: no system call. */
export interface Format<Opened> {
  readonly name: string;
  /** Reads little and never throws for bad content. */
  probe(source: BlockSource): Promise<ProbeVerdict>;
  /** @throws {FormatError} @throws {UnsupportedError} @throws {LimitError} */
  open(source: BlockSource, context: OpenContext): Promise<Opened>;
}
