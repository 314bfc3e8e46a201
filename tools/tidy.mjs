/** `npm run tidy`: checks the house rules over the whole tree; prints `file:line: rule: message`, exits 1 on findings. */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkSource, sourceOf } from './tidy-rules.mjs';
import { checkTree } from './tidy-tree.mjs';

const skippedFolders = new Set(['node_modules', 'dist', '.git', '.cache', 'coverage']);
const textFile = /\.(?:ts|mjs|md|json)$|^(?:LICENSE|NOTICE|\.gitignore|\.npmrc|run)$/;

function* walk(root, folder = '') {
  for (const entry of fs.readdirSync(path.join(root, folder), { withFileTypes: true })) {
    const name = folder === '' ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory() && !skippedFolders.has(entry.name)) yield* walk(root, name);
    else if (entry.isFile() && textFile.test(entry.name)) yield name;
  }
}

/** Reads a checkout: texts by path, and its TypeScript and .mjs files ready for the rules. */
export function readTree(root) {
  const files = new Map();
  const sources = new Map();
  for (const name of [...walk(root)].sort()) {
    const text = fs.readFileSync(path.join(root, name), 'utf8');
    files.set(name, text);
    if (/\.(?:ts|mjs)$/.test(name) && !name.includes('/testdata/')) sources.set(name, sourceOf(name, text));
  }
  return { files, sources };
}

/** All findings of a tree, ordered by file and line. @returns {import('./tidy-rules.mjs').Finding[]} */
export function tidy(tree) {
  const findings = [...[...tree.sources.values()].flatMap(checkSource), ...checkTree(tree)];
  return findings.sort((a, b) => (a.path === b.path ? a.line - b.line : a.path < b.path ? -1 : 1));
}

/** One line per finding, as compilers print it. */
export function formatFinding({ path: file, line, rule, message }) {
  return `${file}:${line}: ${rule}: ${message}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const tree = readTree(path.resolve(path.dirname(process.argv[1]), '..'));
  const findings = tidy(tree);
  for (const one of findings) console.log(formatFinding(one));
  console.log(`tidy: ${tree.sources.size} sources, ${tree.files.size} files, ${findings.length} findings`);
  process.exitCode = findings.length === 0 ? 0 : 1;
}
