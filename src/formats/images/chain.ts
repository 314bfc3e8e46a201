/**
 * Files that an image names: parents, backing files, extents. A guest, or whoever made the image, chose those names: they are never
 * opened but through the caller's `resolveReference`, and chains of them are bounded.
 */
import { FormatError, HoldfastError, LimitError, NotFoundError, UnsupportedError, type BlockSource, type OpenContext } from '../../core/index.ts';
import type { DiskImage, ImageFormatName, ImageOpenContext, ParentFacts } from './image.ts';

/** What the opener of one format may use. */
export interface ImageContext extends ImageOpenContext {
  /** How many images are above this one. */
  readonly depth: number;
  /** Bytes of tables to keep in memory. */
  readonly tableBytes: number;
  /** Opens a file as an image; on failure it is closed. `format` undefined: by magic number, and without references of its own. */
  openImage(file: BlockSource, format: ImageFormatName | undefined, context: ImageOpenContext, depth: number): Promise<DiskImage>;
}

/** Tables of a parent are read less often; a long chain must not hold many. */
const TABLE_BYTES_MIN = 256 << 10;

/** The budget of an image that has `depth` images above it. */
export function tableBytesAt(limitBytes: number, depth: number): number {
  return Math.max(Math.min(TABLE_BYTES_MIN, limitBytes), Math.floor(limitBytes / 2 ** depth));
}

/**
 * Opens the first of `names` that the caller knows. `what` says what it is for.
 * @throws {UnsupportedError} when the caller follows no references. @throws {NotFoundError} when it knows none of them.
 */
export async function openReference(context: OpenContext, names: readonly string[], what: string): Promise<BlockSource> {
  const shown = names.map((name) => `'${name}'`).join(' or ');
  if (context.resolveReference === undefined) {
    throw new UnsupportedError(`Open ${what} ${shown}: files that an image names are followed only when they are given, too`, { reference: names[0] });
  }
  let failure: unknown;
  for (const name of names) {
    try {
      return await context.resolveReference(name);
    } catch (error) {
      if (!(error instanceof NotFoundError)) throw error;
      failure = error;
    }
  }
  throw new NotFoundError(`Open ${what} ${shown}: it is not among the files that were given`, { reference: names[0] }, failure);
}

/** A parent must be the very image that the child was made from. */
function checkIdentity(parent: DiskImage, wanted: ParentFacts): void {
  if (wanted.identity === undefined || parent.facts.identity === wanted.identity) return;
  throw new FormatError(`Open parent '${wanted.names[0] ?? ''}': it is another disk, or was changed after the child was made`, {
    structure: `${parent.facts.format} parent`, field: 'identity', found: parent.facts.identity ?? 'none', expected: wanted.identity,
  });
}

/** For a parent that was recognised by bytes that a guest may have written: it must stand alone. */
function refuseReferences(): Promise<never> {
  return Promise.reject(new UnsupportedError('Follow a reference: the image above does not say in which format its backing file is, so a guest may have made this one up'));
}

/**
 * Opens an image's parent, which the image then owns.
 * @throws {LimitError} when the chain is too long, or turns in a circle. @throws {FormatError} when it is not the parent that the child names.
 * @throws {UnsupportedError} @throws {NotFoundError}
 */
export async function openParent(context: ImageContext, wanted: ParentFacts, format: ImageFormatName | undefined): Promise<DiskImage> {
  const depth = context.depth + 1;
  if (depth >= context.limits.imageChainMax) throw new LimitError('imageChainMax', depth + 1, context.limits.imageChainMax, `parent '${wanted.names[0] ?? ''}'`);
  const file = await openReference(context, wanted.names, 'parent image');
  const below = format === undefined ? { ...context, resolveReference: refuseReferences } : context;
  const parent = await context.openImage(file, format, below, depth);
  try {
    checkIdentity(parent, wanted);
  } catch (error) {
    await parent.close();
    throw error;
  }
  return parent;
}

/** A verdict for errors of reading a head: only deliberate ones are verdicts. @throws whatever else it is. */
export function damagedVerdict(error: unknown): { readonly match: 'damaged'; readonly reason: string } {
  if (!(error instanceof HoldfastError)) throw error;
  return { match: 'damaged', reason: error.message };
}
