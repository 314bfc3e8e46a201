import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { FormatError, utf8 } from '../../core/index.ts';
import { LSTAT, newAttributeRecord, parseAttributes } from './attributes.ts';
import { encodeAttributes, encodeLstat } from './testing/volume-writer.ts';

test('a record as Bacula wrote it', () => {
  const record = newAttributeRecord();
  parseAttributes(utf8('28 3 /BPIPE/stream.bin\0A A IHA A A A A -B BAA B BrAKs8 BrAKs8 BrAKs8 A A C\0\0\x000\0\0'), record);
  assert.equal(record.fileIndex, 28);
  assert.equal(record.type, 3);
  assert.equal(Buffer.from(record.name).toString(), '/BPIPE/stream.bin');
  assert.equal(record.lstat[LSTAT.size], -1);
  assert.equal(record.lstat[LSTAT.mode], 0o100700);
  assert.equal(record.lstat[LSTAT.data_stream], 2);
});

test('parse is the inverse of build', () => {
  const name = fc.uint8Array({ minLength: 1, maxLength: 60 }).filter((bytes) => !bytes.includes(0));
  const number = fc.integer({ min: 0, max: 2 ** 48 });
  fc.assert(fc.property(fc.integer({ min: 1, max: 2 ** 31 }), name, name, fc.record({ mode: fc.nat(0o177777), size: fc.integer({ min: -1, max: 2 ** 52 }), uid: fc.nat(), gid: fc.nat(), mtime: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }), rdev: number, linkFileIndex: fc.nat() }), (fileIndex, path, link, values) => {
    const record = newAttributeRecord();
    parseAttributes(encodeAttributes({ fileIndex, type: 4, name: path, link }, encodeLstat(values)), record);
    assert.equal(record.fileIndex, fileIndex);
    assert.deepEqual(Buffer.from(record.name), Buffer.from(path));
    assert.deepEqual(Buffer.from(record.link), Buffer.from(link));
    const { mode, size, uid, gid, mtime, rdev, linkFileIndex } = fieldsOf(record.lstat);
    assert.deepEqual({ mode, size, uid, gid, mtime, rdev, linkFileIndex }, { ...values });
  }));
});

function fieldsOf(lstat: Float64Array): Record<string, number> {
  const at = (field: keyof typeof LSTAT): number => (lstat[LSTAT[field]] as number) + 0;
  return { mode: at('mode'), size: at('size'), uid: at('uid'), gid: at('gid'), mtime: at('mtime'), rdev: at('rdev'), linkFileIndex: at('LinkFI') };
}

test('other bytes are a FormatError', () => {
  const record = newAttributeRecord();
  for (const text of ['', '1', '1 3 ', '1 3 /a\0A\0\0', '1 3 /a\0A A IHA A A A A !! BAA B B B B A A C\0\0', 'x 3 /a\0A\0\0', '1 3 /a\0A A A A A A A A A A A A A A A A A A A\0\0']) {
    assert.throws(() => { parseAttributes(utf8(text), record); }, FormatError, text);
  }
  fc.assert(fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
    try {
      parseAttributes(bytes, record);
    } catch (error) {
      assert.ok(error instanceof FormatError, String(error));
    }
  }), { numRuns: 2000 });
});
