import assert from 'node:assert';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { crc32c, type IdBatch } from '../../core/index.ts';
import { filterHeader } from './filter.layout.ts';
import { MembershipFilter } from './membership-filter.ts';
import { deserialiseFilter, serialiseFilter } from './saved-filter.ts';

const EPOCH = 2 ** 40 + 7;

function someIds(count: number): IdBatch {
  return { bytes: Buffer.concat(Array.from({ length: count }, (_, i) => createHash('sha256').update(`id ${i}`).digest())), count };
}

function savedBytes(capacity: number, ids: IdBatch): Uint8Array {
  const filter = new MembershipFilter(capacity);
  filter.add(ids);
  const { header, bits } = serialiseFilter(filter, EPOCH);
  return Uint8Array.from(Buffer.concat([header, bits]));
}

/** Writes a header field and makes the header's checksum right again, as a forger would. */
function forge(bytes: Uint8Array, field: 'version' | 'probes' | 'blockBytes' | 'blockCount' | 'capacity' | 'epochHigh', value: number): Uint8Array {
  const forged = Uint8Array.from(bytes);
  const view = new DataView(forged.buffer);
  const at = filterHeader.offsets[field];
  if (field === 'version' || field === 'probes') view.setUint16(at, value);
  else view.setUint32(at, value);
  view.setUint32(filterHeader.offsets.headerCrc32c, crc32c(forged.subarray(0, filterHeader.offsets.headerCrc32c)));
  return forged;
}

describe('saved filter', () => {
  const ids = someIds(300);
  const bytes = savedBytes(400, ids);

  it('comes back with its ids, count and capacity', () => {
    const read = deserialiseFilter(Uint8Array.from(bytes), EPOCH);
    assert.ok(read.verdict === 'ready');
    assert.equal(read.filter.mayHave(ids, new Uint8Array(38)), 300);
    assert.deepEqual([read.filter.count, read.filter.capacity], [300, 400]);
    read.filter.add(someIds(301));
    assert.equal(read.filter.count, 301);
  });

  it('keeps its golden bytes', () => {
    assert.equal(filterHeader.size, 68);
    assert.equal(createHash('sha256').update(bytes).digest('hex'), 'c7243bd1b8254e450e8a55a1082fea365e706d6f10a78987f744b32059c2799e');
  });

  it('is rebuilt when its epoch is another', () => {
    for (const epoch of [EPOCH + 1, EPOCH - 1, 7, EPOCH - 2 ** 32]) {
      assert.deepEqual(deserialiseFilter(bytes, epoch), { verdict: 'rebuild', reason: 'epoch' });
    }
  });

  it('is rebuilt when a forger changes parameters and repairs the checksum', () => {
    const forged: (readonly [string, Uint8Array])[] = [
      ['version', forge(bytes, 'version', 2)], ['parameters', forge(bytes, 'probes', 9)], ['parameters', forge(bytes, 'blockBytes', 64)],
      ['parameters', forge(bytes, 'blockCount', 0xffff_ffff)], ['parameters', forge(bytes, 'capacity', 0)],
      ['parameters', forge(bytes, 'capacity', 0xffff_ffff)], ['epoch', forge(bytes, 'epochHigh', 0xffff_ffff)],
    ];
    for (const [reason, one] of forged) assert.deepEqual(deserialiseFilter(one, EPOCH), { verdict: 'rebuild', reason });
    const grown = forge(forge(bytes, 'capacity', 4000), 'blockCount', 15);
    assert.deepEqual(deserialiseFilter(grown, EPOCH), { verdict: 'rebuild', reason: 'cut short or too long' });
  });

  it('is rebuilt after any flipped bit, cut or appended byte, and never throws', () => {
    fc.assert(fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
      const damaged = Uint8Array.from(bytes);
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ 1 << (bit & 7);
      assert.equal(deserialiseFilter(damaged, EPOCH).verdict, 'rebuild');
    }), { numRuns: 300 });
    fc.assert(fc.property(fc.nat(bytes.length - 1), (length) => {
      assert.equal(deserialiseFilter(bytes.subarray(0, length), EPOCH).verdict, 'rebuild');
    }));
    assert.equal(deserialiseFilter(Buffer.concat([bytes, Uint8Array.of(0)]), EPOCH).verdict, 'rebuild');
    fc.assert(fc.property(fc.uint8Array({ maxLength: 700 }), (noise) => {
      assert.equal(deserialiseFilter(noise, EPOCH).verdict, 'rebuild');
    }));
  });
});
