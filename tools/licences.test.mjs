/** Every locked package, for any platform, has a licence that lets integrators ship it. See docs/decisions.md. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const allowed = new Set(['MIT', 'ISC', 'BSD-2-Clause', 'BSD-3-Clause', '0BSD', 'Apache-2.0', 'MPL-2.0']);

test('licences of all locked packages are allowed', () => {
  const { packages } = JSON.parse(fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  const entries = Object.entries(packages);
  assert.ok(entries.length > 20, 'the lockfile lists the packages');
  const refused = entries.filter(([, entry]) => !allowed.has(entry.license)).map(([name, entry]) => `${name}: ${entry.license}`);
  assert.deepEqual(refused, []);
});
