/** Where bytes are: what each format turns its tables into. */
import type { BlockSource } from '../../core/index.ts';

/** Bytes that are kept in one way, from the offset that was asked for. */
export type Run =
  | { readonly kind: 'data'; readonly length: number; readonly file: BlockSource; readonly at: number }
  /** Reads as zeroes; a `hole` takes no space, either. */
  | { readonly kind: 'zero' | 'hole'; readonly length: number }
  /** Not here: the parent's bytes at the same offset, zeroes behind its end. */
  | { readonly kind: 'parent'; readonly length: number }
  /** Part of a compressed unit: bytes `skip … skip + length` of what `load` gives. */
  | { readonly kind: 'packed'; readonly length: number; readonly skip: number; load(): Promise<Uint8Array> };

/** The tables of an image, a volume or a file as a function. */
export interface BlockMap {
  /**
   * The run that begins at `offset`: at least 1 and at most `lengthMax` bytes, as long as is cheap to tell. A table that is in
   * memory answers without a promise.
   * @throws {FormatError} when the table leads astray.
   */
  runAt(offset: number, lengthMax: number): Run | Promise<Run>;
}

/** Names the field that places data, for the error about data behind the end of a file. */
export interface PlaceField {
  readonly structure: string;
  readonly field: string;
}
