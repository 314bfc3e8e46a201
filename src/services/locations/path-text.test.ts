import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { utf8 } from '../../core/index.ts';
import { formatPathText, jsonPath, parsePathText } from './path-text.ts';

const path = fc.uint8Array({ maxLength: 40 });

describe('paths as text', () => {
  test('what is printed can be typed again, whatever the bytes', () => {
    fc.assert(fc.property(path, (bytes) => {
      assert.deepEqual(Buffer.from(parsePathText(formatPathText(bytes))), Buffer.from(bytes));
    }));
  });

  test('printed text is one line without control characters', () => {
    fc.assert(fc.property(path, (bytes) => {
      assert.doesNotMatch(formatPathText(bytes), /[\u0000-\u001f\u007f]/);
    }));
  });

  test('JSON has the exact text, or says that it has not', () => {
    fc.assert(fc.property(path, (bytes) => {
      const { path: text, pathBase64 } = jsonPath(bytes);
      assert.deepEqual(pathBase64 === undefined ? Buffer.from(utf8(text)) : Buffer.from(pathBase64, 'base64'), Buffer.from(bytes));
    }));
  });

  test('only \\xHH and \\\\ are escapes', () => {
    assert.deepEqual(parsePathText('/a\\xff\\\\b\\n'), new Uint8Array([0x2f, 0x61, 0xff, 0x5c, 0x62, 0x5c, 0x6e]));
    assert.equal(formatPathText(Uint8Array.of(0x61, 0xff, 0x0a)), 'a\\xff\\x0a');
    assert.equal(formatPathText(utf8('ä\\')), 'ä\\\\');
  });
});
