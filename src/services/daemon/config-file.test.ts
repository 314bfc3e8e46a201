import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { HoldfastError, UsageError } from '../../core/index.ts';
import { parseConfig, readConfigFile } from './config-file.ts';

const least = 'domains:\n  default:\n    repository: /r\n    siteKey: /k\n';

function complaint(text: string): string {
  try {
    parseConfig(text, 'd.yaml');
  } catch (error) {
    assert.ok(error instanceof UsageError, String(error));
    return error.message;
  }
  return assert.fail('it was accepted');
}

describe('what a configuration says', () => {
  test('the least one gets all defaults', () => {
    assert.deepEqual(parseConfig(least, '/etc/h/d.yaml'), {
      listen: { wire: { host: '127.0.0.1', port: 9104 }, http: { host: '127.0.0.1', port: 9421 } }, log: { level: 'info' },
      domains: { default: { repository: '/r', siteKey: '/k' } }, workers: 1, connections: 32, resume: 120_000, drain: 60_000,
    });
  });

  test('everything', () => {
    const config = parseConfig([
      'listen: { wire: "[::1]:1", http: "0.0.0.0:65535" }', 'log: { level: debug }', 'hosts: hosts', 'domains:', '  a: { repository: a, keys: [k1, /k2] }', '  b: { repository: "s3://bucket/b" }',
      'gc: { at: 02:30, maxUnused: 0.1, wait: 10m }', 'check: { every: 6h, budget: 2.5 }', 'cacheDirectory: ../cache', 'workers: 2', 'connections: 3', 'resume: 1m', 'drain: 5s',
    ].join('\n'), '/etc/h/d.yaml');
    assert.deepEqual(config, {
      listen: { wire: { host: '::1', port: 1 }, http: { host: '0.0.0.0', port: 65535 } }, log: { level: 'debug' }, hosts: '/etc/h/hosts', identity: '/etc/h/hosts/server.identity',
      domains: { a: { repository: '/etc/h/a', keys: ['/etc/h/k1', '/k2'] }, b: { repository: 's3://bucket/b' } },
      gc: { schedule: { hour: 2, minute: 30 }, maxUnused: 0.1, wait: 600_000 }, check: { schedule: { everyMs: 21_600_000 }, budget: 2.5 },
      cacheDirectory: '/etc/cache', workers: 2, connections: 3, resume: 60_000, drain: 5_000,
    });
  });
});

describe('every complaint names file, line and key, what was found and what is expected', () => {
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['an unknown key', `${least}gcc: {}\n`, /^Read configuration 'd\.yaml': line 5: key 'gcc' is not known, expected 'listen', 'log', .*'gc', 'check'/],
    ['an unknown key of a domain', least.replace('siteKey', 'siteKy'), /line 4: key 'domains\.default\.siteKy' is not known, expected 'repository', 'siteKey', 'keys'/],
    ['a missing key', 'domains:\n  default: { siteKey: /k }\n', /line 2: key 'domains\.default\.repository': found nothing, expected a directory, or 's3:/],
    ['a wrong type', least.replace('/r', '[1]'), /line 3: key 'domains\.default\.repository': found a list, expected a directory/],
    ['a wrong time', `${least}resume: 10\n`, /line 5: key 'resume': found '10', expected a time such as '120s'/],
    ['a time that no timer holds', `${least}drain: 90d\n`, /line 5: key 'drain': found '90d', expected/],
    ['an address without a port', `listen:\n  wire: localhost\n${least}`, /line 2: key 'listen\.wire': found 'localhost', expected ADDRESS:PORT/],
    ['a port that is none', `listen:\n  http: 127.0.0.1:70000\n${least}`, /line 2: key 'listen\.http': found '127\.0\.0\.1:70000', expected ADDRESS:PORT/],
    ['a level', `log: { level: loud }\n${least}`, /line 1: key 'log\.level': found 'loud', expected one of 'fatal'/],
    ['no schedule', `${least}gc: { maxUnused: 0 }\n`, /line 5: key 'gc': found a mapping, expected exactly one of 'every' and 'at'/],
    ['two schedules', `${least}gc: { every: 1h, at: 01:00 }\n`, /key 'gc': found a mapping, expected exactly one of/],
    ['a time of day', `${least}gc: { at: 24:00 }\n`, /key 'gc\.at': found '24:00', expected a time of day such as '02:30'/],
    ['a share', `${least}gc: { every: 1h, maxUnused: 2 }\n`, /key 'gc\.maxUnused': found '2', expected a number from 0 to 1/],
    ['a check without a budget', `${least}check: { every: 1d }\n`, /key 'check\.budget': found nothing, expected a number from 0\.01 to 100/],
    ['a count', `${least}workers: 1.5\n`, /key 'workers': found '1\.5', expected a whole number from 0 to 64/],
    ['a name of a domain', 'domains:\n  "a/b": { repository: /r, siteKey: /k }\n', /line 2: key 'domains\.a\/b': found 'a\/b', expected a name of up to 63/],
    ['no domain', 'domains: {}\n', /line 1: key 'domains': found a mapping, expected at least one domain/],
    ['an empty file', '', /line 1: key 'domains': found nothing, expected a mapping of domain names/],
    ['another document', '- a\n', /line 1: the whole file: found a list, expected a mapping/],
    ['a domain that nobody can reach', 'domains:\n  a: { repository: /r }\n', /line 2: key 'domains\.a': found neither 'siteKey' here nor 'hosts'/],
    ['an identity for nothing', `${least}identity: /i\n`, /line 5: key 'identity': found no 'hosts'/],
    ['a repository twice', `${least}  b: { repository: /x/../r, siteKey: /k2 }\n`, /line 5: key 'domains\.b\.repository': found '\/r' of domain 'default'/],
    ['a key twice', `${least}workers: 1\nworkers: 2\n`, /line \d: it is not YAML: Map keys must be unique/],
    ['no YAML', 'domains: [\n', /line \d: it is not YAML:/],
    ['aliases', `log: &a {}\n${least}gc: *a\n`, /line 6: alias '\*a' is not possible here/],
  ];
  for (const [name, text, expected] of cases) test(name, () => { assert.match(complaint(text), expected); });

  test('all complaints at once, in the order of lines', () => {
    assert.match(complaint(`drain: x\n${least}workers: y\n`), /line 1: key 'drain'.*; line 6: key 'workers'/);
  });
});

test('whatever the text is, it is understood or refused with a UsageError', () => {
  const words = fc.constantFrom('listen', 'log', 'level', 'gc', 'every', 'at', 'domains', 'default', 'repository', ':', ' ', '\n', '\n  ', '{', '}', '[', ']', '-', '"', "'", '&a', '*a', '1h', '02:30', '!!js', '<<', '__proto__', '#', '|', '%');
  fc.assert(fc.property(fc.oneof(fc.array(words, { maxLength: 30 }).map((list) => list.join('')), fc.string()), (text) => {
    try {
      parseConfig(text, 'd.yaml');
    } catch (error) {
      assert.ok(error instanceof UsageError, `${error instanceof HoldfastError ? error.code : ''} ${String(error)}`);
    }
  }), { numRuns: 2_000 });
});

describe('modes of files', () => {
  let directory = '';
  before(() => { directory = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-config-')); });
  after(() => { fs.rmSync(directory, { recursive: true }); });

  function write(name: string, content: string, mode: number): string {
    const file = path.join(directory, name);
    fs.rmSync(file, { force: true });
    fs.writeFileSync(file, content);
    fs.chmodSync(file, mode);
    return file;
  }

  test('a configuration that others may change is refused, one that they may read is not', () => {
    write('k', 'x', 0o600);
    const text = 'domains: { a: { repository: r, siteKey: k } }\n';
    for (const mode of [0o600, 0o640, 0o644]) assert.equal(readConfigFile(write('d.yaml', text, mode)).domains['a']?.siteKey, path.join(directory, 'k'));
    for (const mode of [0o620, 0o602, 0o666]) {
      assert.throws(() => readConfigFile(write('d.yaml', text, mode)), (error) => error instanceof UsageError && /d\.yaml': found mode '06\d\d', expected at most '0755'/.test(error.message));
    }
  });

  test('a key that others may read is refused, for the wire and for repositories', () => {
    for (const key of ['siteKey: k', 'siteKey: ok, keys: [k]']) {
      write('ok', 'x', 0o600);
      const file = write('d.yaml', `domains: { a: { repository: r, ${key} } }\n`, 0o600);
      for (const mode of [0o640, 0o604, 0o610]) {
        write('k', 'x', mode);
        assert.throws(() => readConfigFile(file), (error) => error instanceof UsageError && /k': found mode '06\d\d', expected at most '0700'/.test(error.message));
      }
      write('k', 'x', 0o400);
      assert.ok(readConfigFile(file));
    }
  });

  test('what is absent is named', () => {
    assert.throws(() => readConfigFile(path.join(directory, 'none.yaml')), /none\.yaml': ENOENT/);
    assert.throws(() => readConfigFile(write('d.yaml', 'domains: { a: { repository: r, siteKey: gone } }\n', 0o600)), /key file '.*gone': ENOENT/);
  });
});
