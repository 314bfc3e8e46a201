/** Fragments and the changelog made of them. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { assemble, parseFragment } from './changelog.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

test('a fragment has a kind, a summary and a text', () => {
  assert.deepEqual(parseFragment('Fixed: Keep sparse files sparse\n\nThey grew.\nNow not.\n'), { kind: 'Fixed', summary: 'Keep sparse files sparse', body: 'They grew.\nNow not.' });
  const broken = ['', 'Sparse files\n\nx', 'Improved: x\n\ny', 'Fixed: it.\n\ny', 'Fixed: it\ny', 'Fixed: it\n\n', `Fixed: ${'x'.repeat(101)}\n\ny`];
  for (const text of broken) assert.equal(typeof parseFragment(text).problem, 'string', `'${text}' must be refused`);
});

test('versions and kinds are in order, whatever the names of the files', () => {
  const changes = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-changes-'));
  const write = (name, text) => {
    fs.mkdirSync(path.dirname(path.join(changes, name)), { recursive: true });
    fs.writeFileSync(path.join(changes, name), text);
  };
  write('unreleased/a.md', 'Fixed: B\n\nb.\n');
  write('unreleased/z.md', 'Added: A\n\na.\n');
  write('1.9.0_2030-01-01/x.md', 'Added: Old\n\nold.\n');
  write('1.10.0_2030-02-01/x.md', 'Added: New\n\nnew.\n');
  write('README.md', 'not a fragment');
  const headings = assemble(changes).split('\n').filter((line) => /^##|^\*\*/.test(line));
  write('unreleased/broken.md', 'no kind\n');
  assert.throws(() => assemble(changes), /'broken\.md'/);
  fs.rmSync(changes, { recursive: true });
  assert.deepEqual(headings, ['## Unreleased', '### Added', '**A.** a.', '### Fixed', '**B.** b.', '## 1.10.0 (2030-02-01)', '### Added', '**New.** new.', '## 1.9.0 (2030-01-01)', '### Added', '**Old.** old.']);
});

test('CHANGELOG.md is what its fragments give', () => {
  assert.equal(fs.readFileSync(path.join(root, 'CHANGELOG.md'), 'utf8'), assemble(path.join(root, 'changes')));
});
