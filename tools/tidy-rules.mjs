/** House rules that need one file only. Each rule takes a source file and yields findings; `tidy.mjs` runs them all. */
import { functionsOf } from './functions.mjs';
import { textOfString, tokensOf } from './tokens.mjs';

/** @typedef {{ path: string, text: string, tokens: import('./tokens.mjs').Token[], code: import('./tokens.mjs').Token[] }} Source */
/** @typedef {{ path: string, line: number, rule: string, message: string }} Finding */

/** Caps of STYLE: lines of a file, lines of a function, parameters of a function. */
export const caps = Object.freeze({ fileLines: 500, functionLines: 70, parameters: 4 });

const pureFolders = ['src/core/', 'src/engine/', 'src/formats/'];
const worldFolder = 'src/engine/world/';
const systemModules = new Set(['node:fs', 'node:fs/promises', 'fs', 'fs/promises']);
const timers = new Set(['setTimeout', 'setInterval']);
const declarations = new Set(['function', 'async', 'const', 'let', 'var', 'class', 'abstract', 'interface', 'type', 'declare', 'namespace']);
const native = 'rocksdb-native';
const marker = /\b(?:TODO|FIXME|XXX)\b/;

/** A file prepared for the rules. @returns {Source} */
export function sourceOf(path, text) {
  const tokens = tokensOf(text);
  return { path, text, tokens, code: tokens.filter((token) => token.kind !== 'comment') };
}

/** Whether a file holds tests or their inputs, which may read files and clocks. */
export function isTest(path) {
  return /\.test\.(?:ts|mjs)$/.test(path) || path.includes('/testdata/');
}

/** Whether a file imports the RocksDB binding, statically or lazily. */
export function importsRocks(source) {
  return source.code.some((token) => token.kind === 'string' && textOfString(token) === native);
}

function finding(source, line, rule, message) {
  return { path: source.path, line, rule, message };
}

function* fileSize(source) {
  if (source.path.endsWith('.wasm.ts') || source.path.includes('/testdata/')) return;
  const lines = source.text.split('\n').length - (source.text.endsWith('\n') ? 1 : 0);
  if (lines > caps.fileLines) yield finding(source, lines, 'file-size', `the file has ${lines} lines, allowed ${caps.fileLines}`);
}

function* functionSize(source) {
  for (const one of functionsOf(source.tokens)) {
    // A describe block is a chapter of tests, not a function to hold in mind at once.
    if (one.lines > caps.functionLines && one.callee !== 'describe') {
      yield finding(source, one.line, 'function-size', `'${one.name}' has ${one.lines} lines, allowed ${caps.functionLines}`);
    }
    if (one.parameters > caps.parameters) {
      yield finding(source, one.line, 'parameters', `'${one.name}' takes ${one.parameters} parameters, allowed ${caps.parameters}`);
    }
  }
}

function nameAfter(source, index) {
  const rest = source.tokens.slice(index + 1, index + 8).filter((token) => token.kind === 'word' && !declarations.has(token.text));
  return rest[0]?.text ?? '';
}

function* docstrings(source) {
  let depth = 0;
  let previousName = '';
  for (const [index, token] of source.tokens.entries()) {
    if (token.kind === 'punct') depth += '([{'.includes(token.text) ? 1 : ')]}'.includes(token.text) ? -1 : 0;
    if (token.kind !== 'word' || token.text !== 'export' || depth !== 0) continue;
    if (!declarations.has(source.tokens[index + 1]?.text) || source.tokens[index + 2]?.text === '{') continue;
    const name = nameAfter(source, index);
    const before = source.tokens[index - 1];
    const documented = before?.kind === 'comment' && before.text.startsWith('/**') && before.endLine >= token.line - 1;
    // Overloads after the first share its docstring.
    if (!documented && name !== previousName) yield finding(source, token.line, 'docstring', `export '${name}' has no docstring directly above it`);
    previousName = name;
  }
}

function clockAt(code, i) {
  const [before, token, dot, member] = [code[i - 1], code[i], code[i + 1]?.text, code[i + 2]?.text];
  if (before?.text === '.' || before?.text === '?.') return undefined;
  if (token.text === 'Date' && (before?.text === 'new' || dot === '(' || dot === '.')) return before?.text === 'new' ? 'new Date' : `Date${dot}${dot === '.' ? member : ''}`;
  if (token.text === 'performance' && dot === '.') return `performance.${member}`;
  if (token.text === 'Math' && dot === '.' && member === 'random') return 'Math.random';
  if (timers.has(token.text) && dot !== ':') return token.text;
  return undefined;
}

/** Random functions cannot come from node:crypto either: a simulated run must repeat byte for byte. */
function importsRandom(code, i) {
  for (let at = i - 1; at >= 0 && code[at].text !== 'import'; at -= 1) {
    if (/^(?:random|getRandom)/.test(code[at].text)) return true;
    if (code[at].kind === 'string' || code[at].text === ';') return false;
  }
  return false;
}

function* worldOnly(source) {
  if (!pureFolders.some((folder) => source.path.startsWith(folder)) || source.path.startsWith(worldFolder) || isTest(source.path)) return;
  const rocks = importsRocks(source);
  for (const [i, token] of source.code.entries()) {
    const text = token.kind === 'string' ? textOfString(token) : '';
    const imported = ['from', 'import', '('].includes(source.code[i - 1]?.text) ? text : '';
    if (token.kind === 'word') {
      const clock = clockAt(source.code, i);
      if (clock !== undefined) yield finding(source, token.line, 'world', `'${clock}' belongs into a World`);
    } else if (systemModules.has(imported) && !rocks) {
      yield finding(source, token.line, 'world', `'${imported}' belongs into a World`);
    } else if (imported === 'node:crypto' && importsRandom(source.code, i)) {
      yield finding(source, token.line, 'world', 'random bytes belong into a World');
    }
  }
}

function* bannedSyntax(source) {
  for (const [i, token] of source.code.entries()) {
    if (token.kind !== 'word') continue;
    const [before, next, after] = [source.code[i - 1]?.text, source.code[i + 1], source.code[i + 2]?.text];
    if (token.text === 'enum' && before !== '.' && next?.kind === 'word' && after === '{') {
      yield finding(source, token.line, 'enum', `enum '${next.text}': use an 'as const' object and a union`);
    }
    if (token.text === 'export' && next?.text === 'default') yield finding(source, token.line, 'default-export', 'export by name');
  }
}

function* markers(source) {
  for (const token of source.tokens) {
    const found = token.kind === 'comment' ? marker.exec(token.text) : null;
    if (found !== null) yield finding(source, token.line, 'marker', `'${found[0]}': do it, or describe it in an issue`);
  }
}

const rules = [fileSize, functionSize, docstrings, worldOnly, bannedSyntax, markers];

/** Findings of all one-file rules. @returns {Finding[]} */
export function checkSource(source) {
  return rules.flatMap((rule) => [...rule(source)]);
}
