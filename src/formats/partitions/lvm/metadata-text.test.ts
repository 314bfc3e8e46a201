/** LVM's text format. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { FormatError } from '../../../core/index.ts';
import { parseMetadataText } from './metadata-text.ts';

test('sections, numbers, strings with escapes, lists and comments', () => {
  const text = parseMetadataText('vg { # comment with "quotes" and { braces\n id = "a-\\"b\\\\c"\nseqno=7 neg = -3\nstatus = ["READ", "WRITE"]\nempty = []\nmixed = ["pv0", 0,\n"pv1", 5]\nin { deep { x = 1.5 } } }\ncontents = "Text Format Volume Group"\n\0\0');
  const vg = text.section('vg');
  assert.equal(vg.text('id'), 'a-"b\\c');
  assert.equal(vg.count('seqno'), 7);
  assert.deepEqual(vg.list('mixed'), ['pv0', 0, 'pv1', 5]);
  assert.deepEqual(vg.list('empty'), []);
  assert.ok(vg.has('status', 'WRITE') && !vg.has('status', 'VISIBLE'));
  assert.equal(vg.section('in').section('deep').values.get('x'), 1.5);
  assert.equal(text.text('contents'), 'Text Format Volume Group');
  assert.throws(() => vg.count('neg'), (error) => error instanceof FormatError && error.fault.field === 'neg');
  assert.throws(() => vg.text('seqno'), FormatError);
  assert.equal(vg.count('absent', 4), 4);
});

test('texts that are none are refused, however deep or open', () => {
  for (const bad of ['a {', 'a = ', 'a = [1, 2', 'a = "open', '} ', 'a b', 'a = word', '= 1', 'a = [1 2]', 'a { b = 1', 'x{'.repeat(100_000), 'a = '.repeat(1000), '[', '"'.repeat(99_999)]) {
    assert.throws(() => parseMetadataText(bad), FormatError, bad.slice(0, 20));
  }
});
