/** A lane takes what follows on, and nothing else; what it could not do has not happened. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, describe, test } from 'node:test';
import { crc32 } from 'node:zlib';
import { ToolError } from '../../core/index.ts';
import { opcodes, outHeader, writeOut } from './abi.layout.ts';
import { LanePool, LaneThread, type AppendLane } from './append-lane.ts';
import { dieInWrite } from './testing/dead-thread.ts';
import { everyRequest, requestBytes, writeRequest } from './testing/requests.ts';

const root = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-lane-'));
after(() => { fs.rmSync(root, { recursive: true, force: true }); });

/** A lane to a file of 3 bytes that stands for a longer one. */
function rig(flags = 'w+'): { readonly pool: LanePool; readonly lane: AppendLane; readonly thread: LaneThread; readonly descriptor: number; content(): string } {
  const pool = new LanePool();
  const file = path.join(root, 'file');
  fs.writeFileSync(file, 'abc');
  const descriptor = fs.openSync(file, flags);
  if (flags === 'w+') fs.writeSync(descriptor, 'abc');
  after(() => { fs.closeSync(descriptor); });
  const lane = pool.lend(7) ?? assert.fail('no lane');
  return { pool, lane, thread: new LaneThread(pool.memory), descriptor, content: () => fs.readFileSync(file, 'utf8') };
}

function text(value: string): Buffer {
  return Buffer.from(value);
}

describe('a lane', () => {
  test('takes appends in order, answers them, and tells what they were', () => {
    const { lane, thread, descriptor, content } = rig();
    lane.open({ descriptor, at: 3, offset: 2 ** 33, bytesMax: 100 });
    const reply = thread.append(writeRequest(7, 2 ** 33, text('def'))) ?? assert.fail('not taken');
    assert.deepEqual([outHeader.view(reply).len, outHeader.view(reply).error, outHeader.view(reply).unique], [reply.length, 0, 7]);
    assert.equal(writeOut.view(reply, outHeader.size).size, 3);
    assert.ok(thread.append(writeRequest(7, 2 ** 33 + 3, text('gh'))));
    const appends = lane.take();
    assert.deepEqual(appends.map(({ length, checksum }) => [length, checksum]), [[3, crc32('def')], [2, crc32('gh')]]);
    assert.ok(appends.every(({ time }) => Math.abs(time - Date.now()) < 60_000));
    assert.ok(thread.append(writeRequest(7, 2 ** 33 + 5, text('i'))));
    assert.deepEqual(lane.close().map(({ length }) => length), [1]);
    assert.equal(content(), 'abcdefghi');
  });

  test('leaves everything else to the main thread, untouched', () => {
    const { pool, lane, thread, descriptor, content } = rig();
    const isLeft = (request: Buffer): void => { assert.equal(thread.append(request), undefined); };
    isLeft(writeRequest(7, 10, text('x'))); // closed
    lane.open({ descriptor, at: 3, offset: 10, bytesMax: 4 });
    for (const request of everyRequest()) isLeft(Buffer.from(request));
    for (const request of [writeRequest(7, 9, text('x')), writeRequest(7, 11, text('x')), writeRequest(8, 10, text('x')), writeRequest(7, 10, text('12345')), writeRequest(7, 10, text(''))]) isLeft(request);
    const whole = writeRequest(7, 10, text('wxyz'));
    for (let length = 0; length < whole.length; length += 1) isLeft(whole.subarray(0, length));
    isLeft(Buffer.concat([whole, text('!')]));
    isLeft(Buffer.from(requestBytes(opcodes.write, { body: [Buffer.alloc(40, 0xff), text('x')] })));
    assert.ok(thread.append(whole));
    isLeft(writeRequest(7, 14, text('x'))); // its room is used up
    assert.equal(lane.close().length, 1);
    isLeft(writeRequest(7, 14, text('x')));
    pool.giveBack(lane);
    assert.equal(content(), 'abcwxyz');
  });

  test('a file that fails is left to the main thread, and the lane stays where it was', () => {
    const { lane, thread, descriptor } = rig('r');
    lane.open({ descriptor, at: 3, offset: 3, bytesMax: 100 });
    assert.equal(thread.append(writeRequest(7, 3, text('x'))), undefined);
    assert.deepEqual(lane.close(), []);
  });

  test('ends after so many appends that their records are full', () => {
    const { lane, thread, descriptor } = rig();
    lane.open({ descriptor, at: 0, offset: 0, bytesMax: 1e6 });
    let taken = 0;
    while (thread.append(writeRequest(7, taken, text('x'))) !== undefined) taken += 1;
    assert.equal(taken, 512);
    assert.equal(lane.take().length, 512);
    lane.close();
    lane.open({ descriptor, at: taken, offset: taken, bytesMax: 1e6 });
    assert.ok(thread.append(writeRequest(7, taken, text('y'))));
    assert.deepEqual(lane.close().map(({ checksum }) => checksum), [crc32('y')]);
  });

  test('of a thread that died in a write cannot be closed, which is said in time; what it appended before is there', () => {
    const pool = new LanePool(20);
    const lane = pool.lend(7) ?? assert.fail('no lane');
    const thread = new LaneThread(pool.memory);
    const { descriptor } = rig();
    lane.open({ descriptor, at: 3, offset: 3, bytesMax: 100 });
    assert.ok(thread.append(writeRequest(7, 3, text('def'))));
    dieInWrite(lane);
    assert.throws(() => lane.close(), (error) => error instanceof ToolError && /Close the lane of handle '7': the thread that writes through it has not ended its write for '20' ms/.test(error.message));
    assert.deepEqual(lane.take().map(({ length }) => length), [3]);
    assert.equal(thread.append(writeRequest(7, 6, text('g'))), undefined);
    pool.giveBack(lane);
    assert.deepEqual(Array.from({ length: 8 }, (_, i) => pool.lend(10 + i) !== undefined), [true, true, true, true, true, true, true, false], 'it is not lent again');
  });

  test('a mount has eight; one that was given back serves another handle', () => {
    const pool = new LanePool();
    const lanes = Array.from({ length: 8 }, (_, i) => pool.lend(i + 1) ?? assert.fail('too few'));
    assert.equal(pool.lend(9), undefined);
    pool.giveBack(lanes[3] as AppendLane);
    const { descriptor } = rig();
    (pool.lend(9) ?? assert.fail('none')).open({ descriptor, at: 3, offset: 3, bytesMax: 10 });
    const thread = new LaneThread(pool.memory);
    assert.equal(thread.append(writeRequest(4, 3, text('x'))), undefined);
    assert.ok(thread.append(writeRequest(9, 3, text('x'))));
  });
});
