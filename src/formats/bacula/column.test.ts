import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { Column, NarrowColumn, RunColumn } from './column.ts';

test('columns give back what was pushed, over segments', () => {
  fc.assert(fc.property(fc.array(fc.oneof(fc.nat(100), fc.nat(0xffff_ffff)), { maxLength: 300 }), fc.nat(2), (values, step) => {
    const columns = [new Column('u32'), new Column('f64'), new NarrowColumn(), new RunColumn(step)];
    for (const value of values) for (const column of columns) column.push(value);
    for (const column of columns) assert.deepEqual(values.map((_value, row) => column.get(row)), values);
  }));
  const long = new Column('u16');
  const narrow = new NarrowColumn();
  for (let i = 0; i < 40_000; i += 1) {
    long.push(i);
    narrow.push(i % 1000 === 0 ? -i - 0.5 : i);
  }
  assert.equal(long.get(39_999), 39_999);
  assert.equal(narrow.get(39_000), -39_000.5);
  assert.equal(narrow.get(39_001), 39_001);
});

test('lowerBound finds the first row that is not below', () => {
  fc.assert(fc.property(fc.array(fc.nat(50), { maxLength: 60 }), fc.nat(60), (unsorted, value) => {
    const values = [...unsorted].sort((a, b) => a - b);
    const expected = values.filter((one) => one < value).length;
    for (const column of [new Column('u32'), new RunColumn(1), new RunColumn(0)]) {
      for (const one of values) column.push(one);
      assert.equal(column.lowerBound(value), expected);
    }
  }));
});
