/** Documents that can be wrong are compared with what they describe. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readTree } from './tidy.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { files } = readTree(root);
const documents = [...files].filter(([name]) => name.endsWith('.md') && !name.includes('/testdata/'));
const scripts = JSON.parse(files.get('package.json')).scripts;

/** What a reader copies: the compiled example from its first import on, as an integrator would import it. */
function exampleOf(source) {
  const fromImports = source.slice(source.search(/^import /m));
  return fromImports.replaceAll(/'(?:\.\.\/)+index\.ts'/g, "'holdfast'").trim();
}

test('the library example of the README is the one that is compiled and tested', () => {
  const source = files.get('src/services/examples/readme.ts');
  assert.ok(source !== undefined, 'the compiled example exists');
  const example = exampleOf(source);
  const shown = /^```ts\n([\s\S]*?)^```$/m.exec(files.get('README.md'))?.[1]?.trim();
  assert.equal(shown, example);
  assert.ok(example.split('\n').length <= 15, 'it has at most 15 lines');
});

test('ARCHITECTURE.md has at most three pages', () => {
  const words = files.get('ARCHITECTURE.md').split(/\s+/).length;
  assert.ok(words <= 1500, `${words} words, about 500 make a page`);
});

test('scripts that documents mention exist', () => {
  for (const [name, text] of documents) {
    for (const [, script] of text.matchAll(/npm run (?:--silent )?([\w:-]+)/g)) assert.ok(script in scripts, `${name}: npm run ${script}`);
  }
});

describe('relative links lead somewhere', () => {
  for (const [name, text] of documents) {
    test(name, () => {
      const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, '').replaceAll(/`[^`\n]*`/g, '');
      for (const [, target] of prose.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
        const local = /^[a-z]+:/.test(target) ? undefined : path.join(root, path.dirname(name), target);
        assert.ok(local === undefined || fs.existsSync(local), `'${target}' does not exist`);
      }
    });
  }
});
