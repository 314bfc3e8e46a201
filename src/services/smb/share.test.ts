/** Nothing that a location or an option holds gets into Samba's configuration but names. */
import assert from 'node:assert';
import { test } from 'node:test';
import fc from 'fast-check';
import { UsageError } from '../../core/index.ts';
import { checkPath, checkShareName, checkUsers, shareNameFor, shareSection } from './share.ts';

const plainLine = /^(?:\[[a-z0-9][a-z0-9_.-]*\]|\t[a-z ]+ =(?: [A-Za-z0-9_./@+&\\, -]+)?)$/;

/** The result, or undefined when it was refused. */
function unlessRefused<T>(make: () => T): T | undefined {
  try {
    return make();
  } catch (error) {
    assert(error instanceof UsageError, String(error));
    return undefined;
  }
}

const hostile = fc.oneof(fc.string({ unit: 'binary' }), fc.string({ unit: fc.constantFrom('a', '%', ']', '[', '\n', '\r', '=', '\\', ';', '#', '/', ' ', '.', '"', 'S') }));

test('names from any location, users and paths give one section of the same lines', () => {
  const lines = shareSection('a', '/run/a', ['anna']).split('\n').length;
  fc.assert(fc.property(hostile, hostile, hostile, (location, users, path) => {
    const name = unlessRefused(() => shareNameFor(location));
    for (const make of [() => shareSection(name ?? location, '/run/a', ['anna']), () => shareSection('a', path, 'guests'), () => shareSection('a', '/run/a', [users])]) {
      const text = unlessRefused(make);
      if (text === undefined) continue;
      assert.equal(text.split('\n').length, lines);
      for (const line of text.trimEnd().split('\n')) assert.match(line, plainLine);
    }
  }), { numRuns: 2000 });
});

test('a name for a location', () => {
  assert.equal(shareNameFor('repo::latest::/volumes/Full-0001::job=12::/Disk 1.vhdx::p2::/'), 'repo-latest-volumes-full-0001-job-12-disk-1.vhdx-p2');
  assert.equal(shareNameFor('x]\n[evil]\npath = /etc%U::/'), 'x-evil-path-etc-u');
  assert.throws(() => shareNameFor('/'), UsageError);
});

test('what is refused', () => {
  for (const name of ['', 'global', 'Homes', 'holdfast', 'a$', 'a b', '-a', 'a\n', 'a]', '%U', 'x'.repeat(61)]) assert.throws(() => checkShareName(name), UsageError, name);
  for (const list of ['', ' ,', 'anna%', 'a]b', 'anna\nguest', 'anna\\', '"anna"']) assert.throws(() => checkUsers(list), UsageError, list);
  for (const path of ['run', '/run/../etc', '/run/a b', '/run/%U', '/run/a\n', '/', '/run/']) assert.throws(() => checkPath(path), UsageError, path);
  assert.deepEqual(checkUsers('anna, DOM\\ben @staff'), ['anna', 'DOM\\ben', '@staff']);
});
