/** House rules that look at the whole tree: dead files, folder READMEs, names, private paths, changelog fragments. */
import path from 'node:path';
import { parseFragment } from './changelog.mjs';
import { importsRocks, isTest } from './tidy-rules.mjs';
import { textOfString } from './tokens.mjs';

/** @typedef {import('./tidy-rules.mjs').Source} Source */
/** @typedef {import('./tidy-rules.mjs').Finding} Finding */
/** @typedef {{ files: Map<string, string>, sources: Map<string, Source> }} Tree text by path; prepared sources by path */

const kebab = /^[a-z0-9]+(?:-[a-z0-9]+)*(?:\.[a-z0-9]+(?:-[a-z0-9]+)*)*$/;
const upperCaseNames = new Set(['README.md', 'ARCHITECTURE.md', 'CHANGELOG.md', 'CONTRIBUTING.md', 'LICENSE', 'NOTICE']);
const privatePath = /(?:^|[^\w.-])\/(?:work|home\/\w+|Users\/\w+)\/|[.]library\b/;
const documentedFolders = /^(?:src\/[^/]+|lab|bench|soak|tools|docs|docs\/[^/]+|plugins\/[^/]+)\//;

function finding(file, line, rule, message) {
  return { path: file, line, rule, message };
}

/** The source that a relative specifier names: `.js` may stand for `.ts`, as in compiled workers. */
function resolve(tree, from, specifier) {
  const target = path.posix.join(path.posix.dirname(from), specifier);
  return [target, target.replace(/\.js$/, '.ts')].find((candidate) => tree.sources.has(candidate));
}

function referencesOf(tree, source) {
  const ownSubject = source.path.replace(/\.test\.(ts|mjs)$/, '.$1');
  const found = new Set();
  for (const token of source.code) {
    const text = token.kind === 'string' || token.kind === 'template' ? textOfString(token) : '';
    const target = /^\.\.?\//.test(text) ? resolve(tree, source.path, text) : undefined;
    // A test alone does not keep its subject alive.
    if (target !== undefined && !(isTest(source.path) && target === ownSubject)) found.add(target);
  }
  return found;
}

/** Sources that package.json, CI or the README start by name. */
function entryPoints(tree) {
  const manifest = JSON.parse(tree.files.get('package.json') ?? '{}');
  const text = JSON.stringify([manifest.exports, manifest.bin, manifest.scripts, tree.files.get('.ci/run') ?? '', tree.files.get('README.md') ?? '']);
  const entries = [...text.matchAll(/dist\/([\w./-]+)\.js|((?:tools|src)\/[\w./-]+\.(?:mjs|ts))/g)];
  return entries.map((match) => match[2] ?? `${match[1]}.ts`).filter((file) => tree.sources.has(file));
}

/** Files that neither an entry point nor a test (other than their own) reaches. @returns {Finding[]} */
export function deadFiles(tree) {
  const waiting = [...entryPoints(tree), ...[...tree.sources.keys()].filter(isTest)];
  const alive = new Set(waiting);
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    for (const target of referencesOf(tree, tree.sources.get(file))) {
      if (!alive.has(target)) { alive.add(target); waiting.push(target); }
    }
  }
  return [...tree.sources.keys()].filter((file) => !alive.has(file) && !file.endsWith('.d.ts'))
    .map((file) => finding(file, 1, 'dead-file', 'no entry point and no other file reaches it'));
}

function names(text, file) {
  const name = path.posix.basename(file).replaceAll('.', '\\.');
  return new RegExp(`(?:^|[^\\w.-])${name}(?![\\w-])`, 'm').test(text);
}

/** The README that must list a file: the nearest one upwards within its top folder. */
function readmeOf(tree, file) {
  const top = documentedFolders.exec(file)[0];
  for (let folder = path.posix.dirname(file); `${folder}/`.startsWith(top); folder = path.posix.dirname(folder)) {
    if (tree.files.has(`${folder}/README.md`)) return `${folder}/README.md`;
  }
  return undefined;
}

function needsListing(tree, file) {
  if (!documentedFolders.test(file) || file.includes('/testdata/') || file.endsWith('README.md')) return false;
  if (!/\.(?:ts|mjs|md)$/.test(file)) return false;
  return !isTest(file) || !tree.files.has(file.replace(/\.test\.(ts|mjs)$/, '.$1'));
}

/** Each documented folder has a README, it lists each file, and what it lists exists. @returns {Finding[]} */
export function folderReadmes(tree) {
  const findings = [];
  for (const file of [...tree.files.keys()].filter((name) => needsListing(tree, name))) {
    const readme = readmeOf(tree, file);
    if (readme === undefined) findings.push(finding(file, 1, 'readme', 'no README.md in its folder lists it'));
    else if (!names(tree.files.get(readme), file)) findings.push(finding(readme, 1, 'readme', `'${path.posix.basename(file)}' is not listed`));
  }
  return [...findings, ...staleListings(tree)];
}

function staleListings(tree) {
  const findings = [];
  for (const [file, text] of tree.files) {
    if (!file.endsWith('/README.md') || !documentedFolders.test(file)) continue;
    for (const [index, line] of text.split('\n').entries()) {
      const listed = /^\s*(?:[-*]|\|)\s*\[?`([\w./-]+\.(?:ts|mjs|md))`/.exec(line)?.[1];
      const inside = `${path.posix.dirname(file)}/`;
      const exists = listed === undefined || tree.files.has(path.posix.join(inside, listed)) || listed.startsWith('src/') && tree.files.has(listed)
        || [...tree.files.keys()].some((name) => name.startsWith(inside) && name.endsWith(`/${listed}`));
      if (!exists) findings.push(finding(file, index + 1, 'readme', `'${listed}' is listed but absent`));
    }
  }
  return findings;
}

/** Kebab-case names, `testdata` excepted. @returns {Finding[]} */
export function fileNames(tree) {
  return [...tree.files.keys()].filter((file) => !file.includes('/testdata/')).flatMap((file) => {
    const wrong = file.split('/').find((part) => !part.startsWith('.') && !upperCaseNames.has(part) && !/^\d/.test(part) && !kebab.test(part));
    return wrong === undefined ? [] : [finding(file, 1, 'name', `'${wrong}' is not kebab-case`)];
  });
}

/** No path of one person's or one company's machine. @returns {Finding[]} */
export function privatePaths(tree) {
  const findings = [];
  for (const [file, text] of tree.files) {
    if (file.includes('/testdata/')) continue;
    for (const [index, line] of text.split('\n').entries()) {
      const found = privatePath.exec(line);
      if (found !== null) findings.push(finding(file, index + 1, 'private-path', `'${found[0].trim()}' names a place on one machine`));
    }
  }
  return findings;
}

/** The RocksDB binding is imported in one file, so that everything else runs where it does not load. @returns {Finding[]} */
export function oneRocksFile(tree) {
  const users = [...tree.sources.values()].filter((source) => /^(?:src|lab|soak|bench)\//.test(source.path) && importsRocks(source));
  return users.slice(1).map((source) => finding(source.path, 1, 'rocksdb', `only '${users[0].path}' may import RocksDB`));
}

/** Each fragment parses. @returns {Finding[]} */
export function fragments(tree) {
  return [...tree.files].filter(([file]) => /^changes\/[^/]+\/[^/]+$/.test(file)).flatMap(([file, text]) => {
    const problem = parseFragment(text).problem;
    return problem === undefined ? [] : [finding(file, 1, 'fragment', problem)];
  });
}

const rules = [deadFiles, folderReadmes, fileNames, privatePaths, oneRocksFile, fragments];

/** Findings of all whole-tree rules. @returns {Finding[]} */
export function checkTree(tree) {
  return rules.flatMap((rule) => rule(tree));
}
