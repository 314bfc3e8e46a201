/** Which blocks a woven segment has and where each begins: made once, from layout and heads, when a segment is opened. */
import { FormatError, LimitError, readRange } from '../../../core/index.ts';
import { bb02Layout, bb03Layout } from '../block.layout.ts';
import { CompactReader } from './compact.ts';
import { BLOCK_BYTES_MAX, BLOCK_BYTES_USUAL, HELD_BYTES_MAX, ITEM, SEGMENT_BYTES_MAX, decodeLayout, type WovenLayout } from './layout.ts';
import { SessionCursor } from './session-cursor.ts';
import type { WovenParts } from './split.ts';

/** One block, or one verbatim run. */
export interface WovenBlock {
  /** Offset in the segment, and bytes. */
  readonly start: number;
  readonly size: number;
  /** Undefined: bytes of the data part from `dataAt` on, as they are. */
  readonly head: WovenBlockHead | undefined;
  readonly dataAt: number;
}

/** What the head of a block says. */
export interface WovenBlockHead {
  /** The session as it stands before this block. */
  readonly cursor: SessionCursor;
  readonly bits: number;
  readonly number: number;
  readonly options: number;
  /** The checksum where it is not the block's. */
  readonly checksum: Uint8Array | undefined;
}

function fault(field: string, found: number, expected: string | number): FormatError {
  return new FormatError('Read woven volume', { structure: 'segment', field, found, expected });
}

interface SessionState {
  readonly cursor: SessionCursor;
  number: number;
  capacity: number;
}

/** Fills the table. */
class TableBuilder {
  readonly blocks: WovenBlock[] = [];
  readonly #layout: WovenLayout;
  readonly #items: CompactReader;
  readonly #states: readonly SessionState[];
  #start = 0;
  #verbatimAt = 0;

  constructor(layout: WovenLayout, heads: Uint8Array) {
    this.#layout = layout;
    this.#items = new CompactReader(layout.items);
    let [headsAt, metaStart, dataStart] = [0, 0, layout.verbatim];
    this.#states = layout.sessions.map((session) => {
      const own = heads.subarray(headsAt, headsAt + session.heads);
      const cursor = new SessionCursor({ session, heads: own, metaStart, dataStart });
      headsAt += session.heads;
      metaStart += session.meta;
      dataStart += session.data;
      return { cursor, number: session.number, capacity: BLOCK_BYTES_USUAL };
    });
    if (headsAt !== heads.length) throw fault('heads', heads.length, headsAt);
  }

  run(): readonly WovenBlock[] {
    while (this.#items.left > 0) this.#item();
    const { size, blocks, verbatim } = this.#layout;
    if (this.#start !== size) throw fault('size', this.#start, size);
    if (this.blocks.length !== blocks) throw fault('blocks', this.blocks.length, blocks);
    if (this.#verbatimAt !== verbatim) throw fault('verbatim', this.#verbatimAt, verbatim);
    for (const { cursor } of this.#states) if (!cursor.isAtEnd) throw fault('session', cursor.dataAt, 'columns that are used up');
    return this.blocks;
  }

  #item(): void {
    const session = this.#items.bounded('session', this.#states.length);
    if (session === 0) {
      const size = this.#items.bounded('verbatim', this.#layout.verbatim - this.#verbatimAt);
      this.#push(size, undefined, this.#verbatimAt);
      this.#verbatimAt += size;
      return;
    }
    const state = this.#states[session - 1] as SessionState;
    const bits = this.#items.bounded('bits', 63);
    const isBb02 = state.cursor.parts.session.version === 'BB02';
    const isPlain = (bits & (ITEM.size | ITEM.number | ITEM.checksum)) === 0 && (isBb02 || (bits & ITEM.options) === 0);
    const count = isPlain ? this.#items.bounded('count', this.#layout.blocks - this.blocks.length) : 1;
    for (let i = 0; i < count; i += 1) this.#block(state, bits, isBb02);
  }

  #block(state: SessionState, bits: number, isBb02: boolean): void {
    const headBytes = isBb02 ? bb02Layout.size : bb03Layout.size;
    const size = bits & ITEM.size ? this.#items.bounded('size', BLOCK_BYTES_MAX) : state.capacity;
    if (size < headBytes) throw fault('size', size, `at least ${headBytes}`);
    const number = bits & ITEM.number ? this.#items.bounded('number', 0xffff_ffff) : state.number;
    const options = !isBb02 && bits & ITEM.options ? this.#items.bounded('options', 7) : state.cursor.parts.session.options;
    const checksum = bits & ITEM.checksum ? this.#items.take(isBb02 ? 4 : 8, 'checksum') : undefined;
    const { cursor } = state;
    if (bits & ITEM.fresh) cursor.drop();
    const head = { cursor: cursor.copy(), bits, number, options, checksum };
    const { dataAt } = cursor;
    let used = size - headBytes;
    if (bits & ITEM.opaque) cursor.opaque(used);
    else used = cursor.walk(used, (bits & ITEM.size) === 0);
    if (bits & ITEM.size && used !== size - headBytes) throw fault('size', used, size - headBytes);
    this.#push(headBytes + used, head, dataAt);
    state.number = (number + 1) >>> 0;
    state.capacity = Math.max(state.capacity, size);
  }

  #push(size: number, head: WovenBlockHead | undefined, dataAt: number): void {
    if (this.#start + size > this.#layout.size) throw fault('size', this.#start + size, `at most ${this.#layout.size}`);
    if (this.blocks.length >= this.#layout.blocks) throw fault('blocks', this.blocks.length + 1, this.#layout.blocks);
    this.blocks.push({ start: this.#start, size, head, dataAt });
    this.#start += size;
  }
}

/** The blocks of a segment in their order, without gaps. @throws {FormatError} @throws {LimitError} parts that contradict each other, or are too large. */
export async function readBlockTable(parts: WovenParts): Promise<{ readonly size: number; readonly blocks: readonly WovenBlock[] }> {
  for (const part of [parts.layout, parts.heads]) {
    if (part.size > HELD_BYTES_MAX) throw new LimitError('held bytes', part.size, HELD_BYTES_MAX, 'woven volume');
  }
  const layout = decodeLayout(await readRange(parts.layout, 0, parts.layout.size));
  const metaBytes = layout.sessions.reduce((sum, { meta }) => sum + meta, 0);
  const dataBytes = layout.sessions.reduce((sum, { data }) => sum + data, layout.verbatim);
  if (metaBytes !== parts.meta.size) throw fault('meta', parts.meta.size, metaBytes);
  if (dataBytes !== parts.data.size || dataBytes > SEGMENT_BYTES_MAX) throw fault('data', parts.data.size, dataBytes);
  const heads = await readRange(parts.heads, 0, parts.heads.size);
  return { size: layout.size, blocks: new TableBuilder(layout, heads).run() };
}
