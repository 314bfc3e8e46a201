/**
 * Replays the log in memory: from the tail, the oldest record whose changes may not be in their places, to the head. Nothing is written.
 *
 * Of each transaction, buffers come first, then inodes. On version 5, what the disk has newer than the log is left alone. Items that change
 * nothing that a reader looks at (quota, freed extents, reverse mappings, reference counts) are passed over.
 * Source: "XFS Algorithms & Data Structures", "Journaling Log".
 */
import { type BlockSource, type Limits, UnsupportedError } from '../../../../core/index.ts';
import { PatchedSource } from '../../../mapping/patched-source.ts';
import type { XfsGeometry } from '../geometry.ts';
import type { Changes } from '../metadata.ts';
import { CancelledBuffers, parseBuffer, replayBuffer } from './buffer-item.ts';
import { type InodeReplay, replayInode, replayInodeCreate } from './inode-item.ts';
import { IntentCollector, type OpenIntents } from './intents.ts';
import { ITEM } from './log.layout.ts';
import { LogDevice } from './log-device.ts';
import { findEnd, isUnmount, type LogEnd, recordData, recordsBetween } from './log-record.ts';
import { LogOverlay } from './overlay.ts';
import { type LogItem, type Transaction, TransactionCollector } from './transactions.ts';

/** What the log has to say. */
export interface LogState extends Changes, OpenIntents {
  /** The device with the log's changes; it owns the one that was given when that changed, and is that one otherwise. */
  readonly source: BlockSource;
  readonly clean: boolean;
  /** Inodes whose blocks were given to them by another one. */
  readonly changedOwners: ReadonlySet<number>;
  readonly transactions: number;
  readonly torn: number;
}

const known: ReadonlySet<number> = new Set(Object.values(ITEM));

/** A device as it is on the disk. */
export function bareState(source: BlockSource, clean: boolean): LogState {
  return { source, clean, touches: () => false, maps: new Map(), attributes: new Set(), exchanges: new Set(), changedOwners: new Set(), transactions: 0, torn: 0 };
}

/** The end of the log, when there is something to replay. */
interface Dirty {
  readonly log: LogDevice;
  readonly end: LogEnd;
}

async function dirtyLog(source: BlockSource, geometry: XfsGeometry): Promise<Dirty | undefined> {
  const { block, blocks } = geometry.facts.log;
  const log = new LogDevice(source, geometry.blockAt(block), blocks * geometry.facts.blockBytes);
  const head = await log.head();
  if (head === undefined) return undefined;
  const end = await findEnd(log, head);
  return await isUnmount(log, end.last) || end.last.tail.block % log.blocks === end.head ? undefined : { log, end };
}

/** Whether the filesystem was unmounted in order. @throws {FormatError} */
export async function isCleanLog(source: BlockSource, geometry: XfsGeometry): Promise<boolean> {
  return await dirtyLog(source, geometry) === undefined;
}

async function* transactions({ log, end }: Dirty, limits: Limits): AsyncIterable<Transaction> {
  const collector = new TransactionCollector(limits);
  for await (const record of recordsBetween(log, end.last.tail.block, end.head)) {
    if (!record.littleEndian) throw new UnsupportedError('Replay XFS log: it was written by a machine of another byte order and not emptied');
    yield* collector.take(record, await recordData(log, record));
  }
}

/** Buffers and new inodes before the inodes that are in them, then the end of what was given up. */
async function replayTransaction({ items, lsn }: Transaction, replay: InodeReplay, limits: Limits): Promise<void> {
  const { cancelled, geometry, overlay } = replay;
  const given: { readonly block: number; readonly length: number }[] = [];
  for (const item of items) {
    if (item.type === ITEM.inodeCreate) await replayInodeCreate(item, replay);
    if (item.type !== ITEM.buffer) continue;
    const buffer = parseBuffer(item);
    if (buffer.isCancel) given.push(buffer);
    else if (!buffer.isIgnored && !cancelled.has(buffer.block, buffer.length)) await replayBuffer(item, lsn, overlay, { geometry, limits });
  }
  for (const item of items) if (item.type === ITEM.inode) await replayInode(item, lsn, replay);
  for (const { block, length } of given) cancelled.remove(block, length);
}

function firstPass(items: readonly LogItem[], cancelled: CancelledBuffers, intents: IntentCollector): void {
  for (const item of items) {
    if (!known.has(item.type)) throw new UnsupportedError(`Replay XFS log: items of type '0x${item.type.toString(16)}' are not known`);
    if (item.type === ITEM.buffer) {
      const { isCancel, block, length } = parseBuffer(item);
      if (isCancel) cancelled.add(block, length);
    } else intents.take(item);
  }
}

/**
 * Replays what is to be replayed.
 * @throws {FormatError} @throws {IntegrityError} @throws {LimitError} when the log is damaged or too large. @throws {UnsupportedError}
 */
export async function replayLog(source: BlockSource, geometry: XfsGeometry, limits: Limits): Promise<LogState> {
  const dirty = await dirtyLog(source, geometry);
  if (dirty === undefined) return bareState(source, true);
  const cancelled = new CancelledBuffers();
  const intents = new IntentCollector();
  for await (const { items } of transactions(dirty, limits)) firstPass(items, cancelled, intents);
  const overlay = new LogOverlay(source, limits);
  const changedOwners = new Set<number>();
  let count = 0;
  for await (const transaction of transactions(dirty, limits)) {
    await replayTransaction(transaction, { overlay, geometry, cancelled, changedOwners }, limits);
    count += 1;
  }
  return {
    source: new PatchedSource(source, overlay.patches(), source.size), clean: false, touches: (at, length) => overlay.touches(at, length), ...intents.open(),
    changedOwners, transactions: count, torn: dirty.end.torn,
  };
}
