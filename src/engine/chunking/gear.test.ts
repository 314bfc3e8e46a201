import assert from 'node:assert';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { gear, GEAR_TABLES_BYTES, writeGearTables } from './gear.ts';
import { cutMasks, spreadMask } from './masks.ts';

function onesOf(mask: bigint): number {
  return mask.toString(2).replaceAll('0', '').length;
}

describe('gear table', () => {
  it('never changes: its digest and first numbers are frozen', () => {
    const tables = new Uint8Array(GEAR_TABLES_BYTES);
    writeGearTables(tables);
    assert.deepEqual([gear[0], gear[1], gear[255]], [6_061_117_477_775_714_673n, 7_051_695_916_184_341_785n, 1_029_548_421_293_200_289n]);
    assert.equal(createHash('sha256').update(tables.subarray(0, 2048)).digest('hex'), '3f67332cd40578f84354c23e45246c333ae70f3759e1ecff1a6c1da24e80b877');
  });

  it('is followed by the same numbers shifted by one', () => {
    const tables = new Uint8Array(GEAR_TABLES_BYTES + 3).subarray(3);
    writeGearTables(tables);
    const view = new DataView(tables.buffer, tables.byteOffset);
    for (const [value, number] of gear.entries()) {
      assert.equal(view.getBigUint64((256 + value) * 8, true), BigInt.asUintN(64, number << 1n));
    }
  });
});

describe('masks', () => {
  it('have log2(average) ± 2 bits and never change', () => {
    const masks = [8, 16, 32, 64].map((kib) => cutMasks(kib << 10));
    assert.deepEqual(masks.map((pair) => [onesOf(pair.maskSmall), onesOf(pair.maskLarge)]), [[15, 11], [16, 12], [17, 13], [18, 14]]);
    assert.equal(cutMasks(16 << 10).maskSmall.toString(16), '4924924924920000');
    assert.equal(cutMasks(16 << 10).maskLarge.toString(16), '4904904904900000');
  });

  it('lie in bits 15 to 62 and are nested, at every size', () => {
    for (let bits = 1; bits <= 48; bits += 1) {
      const mask = spreadMask(bits);
      assert.equal(onesOf(mask), bits);
      assert.equal(mask & ~0x7fff_ffff_ffff_8000n, 0n);
      assert.equal(mask & spreadMask(bits - 1), spreadMask(bits - 1));
    }
  });
});
