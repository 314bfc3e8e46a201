/** Requests: the sizes of the kernel's header file, every operation, and whatever bytes may come. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FormatError } from '../../core/index.ts';
import * as abi from './abi.layout.ts';
import { decodeRequest } from './request.ts';
import { everyRequest, nameBytes, rangeBody, requestBytes } from './testing/requests.ts';

describe('requests of FUSE', () => {
  test('layouts have the sizes of include/uapi/linux/fuse.h', () => {
    const sizes = [
      [abi.inHeader, 40], [abi.outHeader, 16], [abi.initOut, 64], [abi.setattrIn, 88], [abi.readIn, 40], [abi.openOut, 16], [abi.attributesLayout, 88],
      [abi.entryOut, 40], [abi.dirent, 24], [abi.writeOut, 8], [abi.statfsOut, 80], [abi.lseekIn, 24], [abi.rename2In, 16], [abi.attrOut, 16],
    ] as const;
    for (const [table, size] of sizes) assert.equal(table.size, size, table.name);
  });

  test('every operation decodes', () => {
    const decoded = everyRequest().map((bytes) => decodeRequest(bytes));
    assert.ok(decoded.every(({ op, unique }) => op !== 'unknown' && unique === 7));
    const [rename] = decoded.flatMap((one) => (one.op === 'rename' ? [one] : []));
    assert.deepEqual([Buffer.from(rename?.from ?? []).toString(), Buffer.from(rename?.to ?? []).toString(), rename?.flags], ['a', 'b', 1]);
    const [write] = decoded.flatMap((one) => (one.op === 'write' ? [one] : []));
    assert.deepEqual([write?.offset, Buffer.from(write?.data ?? []).toString()], [5, 'abc']);
    const [forget] = decoded.flatMap((one) => (one.op === 'forget' && one.forgotten.length === 2 ? [one] : []));
    assert.deepEqual(forget?.forgotten, [{ node: 3, lookups: 1 }, { node: 4, lookups: 9 }]);
  });

  test('an operation without a decoder is unknown, not an error', () => {
    assert.equal(decodeRequest(requestBytes(4000)).op, 'unknown');
  });

  test('more data than came, a name without an end, a wrong length, more forgets than came: refused', () => {
    const bad = [
      requestBytes(abi.opcodes.write, { body: [rangeBody(1, 0, 4), Buffer.from('abc')] }), requestBytes(abi.opcodes.lookup, { body: [Buffer.from('abc')] }),
      requestBytes(abi.opcodes.lookup, { body: [nameBytes('')] }), Buffer.concat([requestBytes(abi.opcodes.getattr), Buffer.alloc(1)]),
      requestBytes(abi.opcodes.batchForget, { body: [abi.getxattrIn.encode({ size: 0xffff_ffff, padding: 0 })] }),
    ];
    for (const bytes of bad) assert.throws(() => decodeRequest(bytes), FormatError);
  });

  test('random and mutated bytes give a request or a FormatError', () => {
    const valid = everyRequest();
    const mutated = fc.tuple(fc.nat(valid.length - 1), fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 8 }), fc.nat(120)).map(([index, changes, cut]) => {
      const bytes = Uint8Array.from(valid[index] as Uint8Array);
      for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
      const short = bytes.subarray(0, Math.max(0, bytes.length - (cut < 20 ? cut : 0)));
      // The kernel's length is right in most: else nothing behind it would be tried.
      if (short.length >= 4 && cut % 5 !== 0) new DataView(short.buffer, short.byteOffset).setUint32(0, short.length, true);
      return short;
    });
    fc.assert(fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutated), (bytes) => {
      try {
        decodeRequest(bytes);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
      }
    }), { numRuns: 3000 });
  });
});
