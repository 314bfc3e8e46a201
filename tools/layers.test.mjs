/**
 * The compiler enforces the layers: with the real project files and a scratch source per folder, a legal import compiles
 * and every import against the layers is error TS6307.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const projects = JSON.parse(fs.readFileSync(path.join(root, 'tsconfig.json'), 'utf8')).references.map((reference) => reference.path);

/** The layers as ARCHITECTURE.md has them: what each folder may import. */
function mayImport(from) {
  const middle = projects.filter((name) => name.startsWith('src/') && name !== 'src/core' && name !== 'src/services');
  if (from === 'src/core') return [];
  if (middle.includes(from)) return ['src/core'];
  if (from === 'src/services') return ['src/core', ...middle];
  return ['src/core', ...middle, 'src/services'];
}

function writeImports(scratch, from, targets) {
  const specifier = (target) => path.posix.join(path.posix.relative(from, target), 'scratch.ts');
  const imports = targets.map((target, i) => `import { name as name${i} } from '${specifier(target)}';`);
  const uses = targets.map((_, i) => `name${i}`).join(', ');
  fs.writeFileSync(path.join(scratch, from, 'scratch.ts'), `${imports.join('\n')}\nexport const name: string = [${uses}].join('');\n`);
}

function compile(scratch) {
  const compiler = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const result = spawnSync(process.execPath, [compiler, '-b', '--pretty', 'false'], { cwd: scratch, encoding: 'utf8' });
  return { status: result.status, output: result.stdout + result.stderr };
}

describe('layers', () => {
  let scratch = '';

  before(() => {
    scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-layers-'));
    fs.symlinkSync(path.join(root, 'node_modules'), path.join(scratch, 'node_modules'));
    fs.writeFileSync(path.join(scratch, 'package.json'), '{"type":"module"}');
    for (const name of ['tsconfig.base.json', 'tsconfig.json', ...projects.map((project) => `${project}/tsconfig.json`)]) {
      fs.mkdirSync(path.join(scratch, path.dirname(name)), { recursive: true });
      fs.copyFileSync(path.join(root, name), path.join(scratch, name));
    }
    for (const project of projects) writeImports(scratch, project, mayImport(project));
  });
  after(() => fs.rmSync(scratch, { recursive: true, force: true }));

  test('imports along the layers compile', () => {
    assert.deepEqual(compile(scratch), { status: 0, output: '' });
  });

  for (const from of projects) {
    const illegal = projects.filter((target) => target !== from && !mayImport(from).includes(target));
    test(`${from} cannot import ${illegal.join(', ')}`, () => {
      writeImports(scratch, from, illegal);
      const { status, output } = compile(scratch);
      writeImports(scratch, from, mayImport(from));
      assert.notEqual(status, 0);
      for (const target of illegal) {
        const reported = output.split('\n').some((line) => line.startsWith(`${from}/scratch.ts`) && line.includes('TS6307') && line.includes(`${target}/scratch.ts'`));
        assert.ok(reported, `${from} → ${target} is not TS6307:\n${output}`);
      }
    });
  }
});
