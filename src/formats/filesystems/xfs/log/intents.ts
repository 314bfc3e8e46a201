/**
 * Intents: work in several transactions that the log promises to finish. What they mean to a reader when the promise is still open:
 * freed space, reverse mappings and reference counts show nowhere; a mapping that is to change is changed here; files whose
 * attributes or mappings were being changed in a way that is not followed are refused.
 * Source: "XFS Algorithms & Data Structures", "Extent Freeing Intent" to "Mapped Extent Update Intent"; xfs_attri and xfs_xmi log items.
 */
import { FormatError } from '../../../../core/index.ts';
import type { MapChange } from '../mapping-changes.ts';
import { intentLayout, ITEM, mapExtentLayout } from './log.layout.ts';
import { type LogItem, regionOf } from './transactions.ts';

const KIND = { map: 1, unmap: 2 } as const;
const FLAG = { attributeFork: 0x8000_0000, unwritten: 0x4000_0000, kind: 0xff } as const;
/** Attribute intents on the filesystem's own links to parent directories, which no reader sees. */
const ATTRIBUTE_PARENT_KINDS: readonly number[] = [4, 5, 6];
/** Offsets in an attribute intent and in one that exchanges mappings. */
const ATTRIBUTE = { inode: 16, flags: 24, end: 40 } as const;
const EXCHANGE = { inode1: 16, inode2: 24, end: 32 } as const;

/** What is still to be done, by inode. */
export interface OpenIntents {
  readonly maps: ReadonlyMap<number, readonly MapChange[]>;
  /** Inodes whose attributes were being changed. */
  readonly attributes: ReadonlySet<number>;
  /** Inodes whose contents were being exchanged. */
  readonly exchanges: ReadonlySet<number>;
}

/** What done items close. */
const doneOf: ReadonlyMap<number, number> = new Map<number, number>([[ITEM.bud, ITEM.bui], [ITEM.attributeDone, ITEM.attributeIntent], [ITEM.exchangeDone, ITEM.exchangeIntent]]);

function idOf(region: Uint8Array, type: number): string {
  return `${type} ${Buffer.from(intentLayout.view(region).id).toString('hex')}`;
}

function inodeAt(region: Uint8Array, at: number): number {
  const view = new DataView(region.buffer, region.byteOffset, region.byteLength);
  const inode = view.getUint32(at, true) + view.getUint32(at + 4, true) * 2 ** 32;
  if (!Number.isSafeInteger(inode)) throw new FormatError('Replay XFS log', { structure: 'intent', field: 'inode', expected: 'at most 2^53 - 1' });
  return inode;
}

/** Collects intents and takes off those that are done. */
export class IntentCollector {
  readonly #open = new Map<string, LogItem>();

  /** Items in the order of the log. @throws {FormatError} */
  take(item: LogItem): void {
    const intended = doneOf.get(item.type);
    if (intended !== undefined) this.#open.delete(idOf(regionOf(item, 0), intended));
    else if ([...doneOf.values()].includes(item.type)) this.#open.set(idOf(regionOf(item, 0), item.type), item);
  }

  /** @throws {FormatError} */
  open(): OpenIntents {
    const maps = new Map<number, MapChange[]>();
    const attributes = new Set<number>();
    const exchanges = new Set<number>();
    for (const item of this.#open.values()) {
      const region = regionOf(item, 0);
      if (item.type === ITEM.bui) addMaps(region, maps);
      else if (item.type === ITEM.attributeIntent) addAttribute(region, attributes);
      else addExchange(region, exchanges);
    }
    return { maps, attributes, exchanges };
  }
}

function checkLength(region: Uint8Array, length: number): void {
  if (region.length < length) throw new FormatError('Replay XFS log', { structure: 'intent', field: 'size', found: region.length, expected: `at least ${length}` });
}

function addMaps(region: Uint8Array, maps: Map<number, MapChange[]>): void {
  const { extents } = intentLayout.view(region);
  checkLength(region, intentLayout.size + extents * mapExtentLayout.size);
  for (let i = 0; i < extents; i += 1) {
    const extent = mapExtentLayout.view(region, intentLayout.size + i * mapExtentLayout.size);
    const kind = extent.me_flags & FLAG.kind;
    if (kind !== KIND.map && kind !== KIND.unmap) throw new FormatError('Replay XFS log', { structure: mapExtentLayout.name, field: 'me_flags', found: kind, expected: '1 or 2' });
    if ((extent.me_flags & FLAG.attributeFork) !== 0) continue;
    const known = maps.get(extent.me_owner) ?? [];
    known.push({ isMap: kind === KIND.map, start: extent.me_startoff, block: extent.me_startblock, count: extent.me_len, unwritten: (extent.me_flags & FLAG.unwritten) !== 0 });
    maps.set(extent.me_owner, known);
  }
}

function addAttribute(region: Uint8Array, attributes: Set<number>): void {
  checkLength(region, ATTRIBUTE.end);
  const kind = (region[ATTRIBUTE.flags] as number) & FLAG.kind;
  if (!ATTRIBUTE_PARENT_KINDS.includes(kind)) attributes.add(inodeAt(region, ATTRIBUTE.inode));
}

function addExchange(region: Uint8Array, exchanges: Set<number>): void {
  checkLength(region, EXCHANGE.end);
  exchanges.add(inodeAt(region, EXCHANGE.inode1));
  exchanges.add(inodeAt(region, EXCHANGE.inode2));
}
