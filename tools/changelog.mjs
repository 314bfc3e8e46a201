/**
 * `npm run changelog`: assembles CHANGELOG.md from the fragments under `changes/`. `--check` only compares, and
 * `--release VERSION` first turns `changes/unreleased` into `changes/VERSION_DATE`. Rules: changes/README.md.
 */
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** Kinds of change, in the order of the changelog. */
export const kinds = Object.freeze(['Added', 'Changed', 'Fixed', 'Security', 'Removed']);

/**
 * Parses `Kind: summary`, an empty line, text.
 * @param {string} text
 * @returns {{ kind: string, summary: string, body: string, problem?: undefined } | { problem: string }}
 */
export function parseFragment(text) {
  const [first = '', second, ...rest] = text.split('\n');
  const head = /^(\w+): (\S.*)$/.exec(first);
  if (head === null || !kinds.includes(head[1])) return { problem: `line 1 must be '${kinds.join('|')}: summary', found '${first}'` };
  if (head[2].length > 100) return { problem: `the summary has ${head[2].length} characters, allowed 100` };
  if (head[2].endsWith('.')) return { problem: 'the summary ends with a full stop' };
  if (second !== '') return { problem: 'line 2 must be empty' };
  const body = rest.join('\n').trim();
  if (body === '') return { problem: 'the text after the summary is missing' };
  return { kind: head[1], summary: head[2], body };
}

function section(folder, title) {
  const names = fs.readdirSync(folder).filter((name) => name.endsWith('.md')).sort();
  const parsed = names.map((name) => ({ name, ...parseFragment(fs.readFileSync(path.join(folder, name), 'utf8')) }));
  const broken = parsed.find((one) => one.problem !== undefined);
  if (broken !== undefined) throw new Error(`Read fragment '${broken.name}': ${broken.problem}`);
  const parts = kinds.map((kind) => {
    const entries = parsed.filter((one) => one.kind === kind);
    return entries.length === 0 ? '' : `### ${kind}\n\n${entries.map((one) => `**${one.summary}.** ${one.body}\n`).join('\n')}\n`;
  });
  return `## ${title}\n\n${parts.join('') || 'Nothing yet.\n\n'}`;
}

/** Newest first: `1.10.0` is newer than `1.9.0`. */
function byVersion(a, b) {
  return b.localeCompare(a, 'en', { numeric: true });
}

/** The whole changelog of a `changes` folder. @throws {Error} naming a fragment that does not parse. */
export function assemble(changes) {
  const folders = fs.readdirSync(changes, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const released = folders.filter((name) => name !== 'unreleased').sort(byVersion);
  const unreleased = folders.includes('unreleased') ? [section(path.join(changes, 'unreleased'), 'Unreleased')] : [];
  const versions = released.map((name) => section(path.join(changes, name), name.replace(/^([^_]+)_(.+)$/, '$1 ($2)')));
  const header = '# Changelog\n\nAssembled from `changes/` by `npm run changelog`; edit the fragments, not this file.\n\n';
  return `${`${header}${[...unreleased, ...versions].join('')}`.trimEnd()}\n`;
}

function main(options) {
  const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
  const changes = path.join(root, 'changes');
  const file = path.join(root, 'CHANGELOG.md');
  const version = options[0] === '--release' ? options[1] : undefined;
  if (version !== undefined) {
    fs.renameSync(path.join(changes, 'unreleased'), path.join(changes, `${version}_${new Date().toISOString().slice(0, 10)}`));
  }
  const text = assemble(changes);
  if (options[0] !== '--check') fs.writeFileSync(file, text);
  else if (!fs.existsSync(file) || fs.readFileSync(file, 'utf8') !== text) {
    console.error('CHANGELOG.md is out of date: run npm run changelog');
    process.exitCode = 1;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main(process.argv.slice(2));
