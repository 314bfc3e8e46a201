import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { UsageError, utf8 } from '../../core/index.ts';
import { Patterns } from './glob.ts';

const cases: readonly (readonly [pattern: string, matches: readonly string[], others: readonly string[]])[] = [
  ['*.log', ['/a.log', '/x/y/b.log', '/.log'], ['/a.log.gz', '/log']],
  ['cache', ['/cache', '/a/cache'], ['/caches', '/a/mycache']],
  ['/etc', ['/etc'], ['/a/etc', '/etcetera']],
  ['/etc/*', ['/etc/hosts'], ['/etc', '/etc/ssh/config', '/x/etc/hosts']],
  ['/etc/**', ['/etc/hosts', '/etc/ssh/config'], ['/etc']],
  ['/a/**/z', ['/a/z', '/a/b/z', '/a/b/c/z'], ['/a/bz', '/z']],
  ['src/*.ts', ['/src/a.ts', '/x/src/b.ts'], ['/src/x/a.ts', '/mysrc/a.ts']],
  ['f?o', ['/foo', '/f\u00e4o', '/f\u{1f600}o'], ['/fo', '/f/o', '/fooo']],
  ['[a-c]x', ['/ax', '/cx'], ['/dx', '/x']],
  ['[!a-c]x', ['/dx'], ['/ax', '/x']],
  ['a+(b)', ['/a+(b)'], ['/aab']],
  ['dir/', ['/dir', '/x/dir'], ['/dirs']],
  ['[', ['/['], ['/a']],
];

describe('patterns', () => {
  for (const [pattern, matches, others] of cases) {
    test(pattern, () => {
      const patterns = new Patterns([pattern]);
      for (const path of matches) assert.ok(patterns.matches(utf8(path)), `${path} matches`);
      for (const path of others) assert.ok(!patterns.matches(utf8(path)), `${path} does not match`);
    });
  }

  test('bytes that are not UTF-8 are one character each', () => {
    assert.ok(new Patterns(['a?c']).matches(Uint8Array.of(0x2f, 0x61, 0xff, 0x63)));
    assert.ok(new Patterns(['a*']).matches(Uint8Array.of(0x2f, 0x61, 0xff, 0x0a)));
  });

  test('nothing matches without patterns, and a bad class is a usage error', () => {
    assert.ok(!new Patterns([]).matches(utf8('/a')));
    assert.throws(() => new Patterns(['[z-a]']), UsageError);
  });

  test('those that matched nothing are known, also behind others that did', () => {
    const patterns = new Patterns(['*.log', 'a*', 'b']);
    for (const path of ['/a.log', '/c.log', '/d']) patterns.matches(utf8(path));
    assert.deepEqual(patterns.unmatched(), ['b']);
  });
});
