/** The lint configuration is found and bites: a configuration that matches nothing would pass everything. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

function lint(samples) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-lint-'));
  for (const [name, text] of Object.entries(samples)) fs.writeFileSync(path.join(folder, name), text);
  const program = path.join(root, 'node_modules', 'oxlint', 'bin', 'oxlint');
  const result = spawnSync(process.execPath, [program, '--deny-warnings', '--format=unix', '-c', path.join(root, '.oxlintrc.json'), folder], { cwd: folder, encoding: 'utf8' });
  fs.rmSync(folder, { recursive: true });
  return { status: result.status, output: result.stdout + result.stderr };
}

test('good code passes, bit operators and awaits in loops included', () => {
  const { status, output } = lint({ 'a.ts': 'export async function f(a: number[]): Promise<number> {\n  let sum = 0;\n  for (const b of a) sum = (sum << 1 | await Promise.resolve(b)) >>> 0;\n  return sum;\n}\n' });
  assert.equal(status, 0, output);
});

test('what the house does not want is refused', () => {
  const { status, output } = lint({
    'a.ts': "import { b } from './b.ts';\nexport const a = (x: any): number => b + x;\nexport default a;\n",
    'b.ts': "import { a } from './a.ts';\nexport const b = a(1);\nexport function wide(p: number, q: number, r: number, s: number, t: number): boolean {\n  return p == q || r + s > t;\n}\n",
    'c.ts': "import fs from 'fs';\nlet unused = 1;\nexport const c = fs.constants.R_OK;\n",
  });
  assert.equal(status, 1, output);
  for (const rule of ['no-explicit-any', 'no-default-export', 'no-cycle', 'max-params', 'eqeqeq', 'prefer-node-protocol', 'no-unused-vars']) {
    assert.ok(output.includes(rule), `${rule} is silent:\n${output}`);
  }
});
