/** Intents that were open when the system stopped, and those that were done: built by hand, as only a crash between two checkpoints leaves one. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { FormatError } from '../../../../core/index.ts';
import { IntentCollector } from './intents.ts';
import { ITEM, mapExtentLayout } from './log.layout.ts';
import type { LogItem } from './transactions.ts';

function head(type: number, extents: number, id: number, more: Uint8Array = new Uint8Array(0)): LogItem {
  const bytes = new Uint8Array(16 + more.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, type, true);
  view.setUint16(2, 1, true);
  view.setUint32(4, extents, true);
  view.setUint32(8, id, true);
  bytes.set(more, 16);
  return { type, regions: [bytes] };
}

function extent(owner: number, flags: number): Uint8Array {
  return mapExtentLayout.encode({ me_owner: owner, me_startblock: 700, me_startoff: 30, me_len: 4, me_flags: flags });
}

test('what is open changes its file, what is done does not', () => {
  const intents = new IntentCollector();
  intents.take(head(ITEM.bui, 1, 1, extent(131, 1)));
  intents.take(head(ITEM.bui, 1, 2, extent(132, 0x4000_0001)));
  intents.take(head(ITEM.bui, 1, 3, extent(132, 2)));
  intents.take(head(ITEM.bui, 1, 4, extent(133, 0x8000_0001)));
  intents.take(head(ITEM.bud, 0, 1));
  intents.take(head(ITEM.efi, 0, 9));
  assert.deepEqual([...intents.open().maps], [[132, [
    { isMap: true, start: 30, block: 700, count: 4, unwritten: true }, { isMap: false, start: 30, block: 700, count: 4, unwritten: false },
  ]]]);
});

test('inodes whose attributes or content were being changed are told, but for links to parents', () => {
  const intents = new IntentCollector();
  const attribute = (inode: number, kind: number): Uint8Array => {
    const bytes = new Uint8Array(24);
    bytes[0] = inode;
    bytes[8] = kind;
    return bytes;
  };
  intents.take(head(ITEM.attributeIntent, 0, 1, attribute(140, 1)));
  intents.take(head(ITEM.attributeIntent, 0, 2, attribute(141, 4)));
  intents.take(head(ITEM.attributeIntent, 0, 3, attribute(142, 2)));
  intents.take(head(ITEM.attributeDone, 0, 3));
  const exchange = new Uint8Array(32);
  exchange[0] = 150;
  exchange[8] = 151;
  intents.take(head(ITEM.exchangeIntent, 0, 1, exchange));
  const open = intents.open();
  assert.deepEqual([...open.attributes], [140]);
  assert.deepEqual([...open.exchanges], [150, 151]);
});

test('intents that are too short or of unknown kinds are refused', () => {
  for (const item of [head(ITEM.bui, 3, 1, extent(131, 1)), head(ITEM.bui, 1, 1, extent(131, 7)), head(ITEM.attributeIntent, 0, 1), head(ITEM.exchangeIntent, 0, 1)]) {
    const intents = new IntentCollector();
    intents.take(item);
    assert.throws(() => intents.open(), FormatError);
  }
});
