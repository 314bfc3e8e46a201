/** Finds functions in a token list: where each begins and ends, and how many parameters it takes (arrows without a block: 0). */

const notAName = new Set(['if', 'for', 'while', 'switch', 'catch', 'with', 'return', 'await', 'typeof']);
const typeOperators = new Set(['|', '&', '.', 'keyof', 'readonly', 'typeof', 'unique', 'infer', 'is', 'asserts', 'extends', '?', ':', 'new', 'in']);
const opening = { '(': ')', '[': ']', '{': '}' };

/** @typedef {{ name: string, line: number, lines: number, parameters: number, callee: string }} Found */

/** Index of the bracket that closes the one at `start`, or the list's length. */
export function closingOf(tokens, start) {
  let depth = 0;
  for (let i = start; i < tokens.length; i += 1) {
    if (tokens[i].kind !== 'punct') continue;
    if (tokens[i].text in opening) depth += 1;
    else if (')]}'.includes(tokens[i].text)) depth -= 1;
    if (depth === 0) return i;
  }
  return tokens.length;
}

/** Index after `<…>` when a type argument list begins at `start`, else `start`. */
function afterAngles(tokens, start) {
  if (tokens[start]?.text !== '<') return start;
  let depth = 0;
  for (let i = start; i < tokens.length; i += 1) {
    const { kind, text } = tokens[i];
    if (kind !== 'punct') continue;
    if (text === '<') depth += 1;
    else if (text === '>') depth -= 1;
    else if (text in opening) i = closingOf(tokens, i);
    else if (text === ';') return start;
    if (depth === 0) return i + 1;
  }
  return start;
}

/** Index after a type that begins at `start`: it ends before a body's `{` or an arrow's `=>`. */
function afterType(tokens, start) {
  let i = start;
  let needOperand = true;
  while (i < tokens.length) {
    const { kind, text } = tokens[i];
    if (typeOperators.has(text)) { needOperand = true; i += 1; continue; }
    if (text === '[' || needOperand && text in opening) {
      i = closingOf(tokens, i) + 1;
      if (text === '(' && tokens[i]?.text === '=>') { needOperand = true; i += 1; } else needOperand = false;
      continue;
    }
    if (!needOperand || kind === 'punct' && text !== '<' && text !== '-') return i;
    i = afterAngles(tokens, text === '<' ? i : i + 1);
    needOperand = text === '-' || text === '<';
  }
  return i;
}

/** Number of parameters between the parentheses at `open` and `close`; a leading `this` is not one. */
function countParameters(tokens, open, close) {
  if (close === open + 1) return 0;
  let count = 1;
  let angles = 0;
  for (let i = open + 1; i < close; i += 1) {
    const { kind, text } = tokens[i];
    if (kind !== 'punct') continue;
    if (text in opening) i = closingOf(tokens, i);
    else if (text === '<') angles += 1;
    else if (text === '>' && angles > 0) angles -= 1;
    else if (text === ',' && angles === 0 && i + 1 < close) count += 1;
  }
  return tokens[open + 1].text === 'this' ? count - 1 : count;
}

/** Where a type parameter list that ends before `open` begins, or `open`. */
function beforeAngles(tokens, open) {
  if (tokens[open - 1]?.text !== '>') return open;
  let depth = 0;
  for (let i = open - 1; i >= 0; i -= 1) {
    if (tokens[i].text === '>') depth += 1;
    else if (tokens[i].text === '<') depth -= 1;
    if (depth === 0) return i;
  }
  return open;
}

/** The call that a function is an argument of, as `name(…, () => {})`; empty when it is none. */
function calleeOf(tokens, start) {
  let depth = 0;
  for (let i = start - 1; i >= 0; i -= 1) {
    const { kind, text } = tokens[i];
    if (kind !== 'punct') continue;
    if (')]}'.includes(text)) depth += 1;
    else if (text in opening) {
      if (depth === 0) return text === '(' && tokens[i - 1]?.kind === 'word' ? tokens[i - 1].text : '';
      depth -= 1;
    } else if (text === ';' && depth === 0) return '';
  }
  return '';
}

/** The function whose parameter list opens at `open`, or undefined when these parentheses are something else. */
function functionAt(tokens, open) {
  const close = closingOf(tokens, open);
  let body = close + 1;
  if (tokens[body]?.text === ':') body = afterType(tokens, body + 1);
  const head = beforeAngles(tokens, open);
  const before = tokens[head - 1];
  const arrow = tokens[body]?.text === '=>';
  if (arrow) body += 1;
  else {
    const named = before !== undefined && (before.kind === 'word' || before.kind === 'string' || before.text === ']' || before.text === '*');
    if (tokens[body]?.text !== '{' || !named || notAName.has(before.text)) return undefined;
  }
  const end = tokens[body]?.text === '{' ? closingOf(tokens, body) : body;
  const first = arrow ? tokens[open] : before;
  const last = tokens[Math.min(end, tokens.length - 1)];
  const name = arrow ? '(arrow)' : before.text === 'function' ? '(anonymous)' : before.text;
  const lines = last.endLine - first.line + 1;
  // A type such as `(a: A, b: B) => C` looks like an arrow without a block; only functions with a body count parameters.
  const parameters = tokens[body]?.text === '{' ? countParameters(tokens, open, close) : 0;
  return { name, line: first.line, lines, parameters, callee: calleeOf(tokens, arrow ? open : head - 1) };
}

/**
 * Functions, methods and arrows with a parenthesised parameter list, in order of appearance.
 * @param {import('./tokens.mjs').Token[]} all
 * @returns {Found[]}
 */
export function functionsOf(all) {
  const tokens = all.filter((token) => token.kind !== 'comment');
  const found = [];
  for (let i = 0; i < tokens.length; i += 1) {
    if (tokens[i].kind !== 'punct' || tokens[i].text !== '(') continue;
    const one = functionAt(tokens, i);
    if (one !== undefined) found.push(one);
  }
  return found;
}
