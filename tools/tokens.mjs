/**
 * Tokens of TypeScript and JavaScript, just enough for the house rules: strings, templates, regular expressions and
 * comments are told apart from code, so that no rule fires on text. It does not parse; TypeScript 7 has no compiler API.
 * Known limit: after `)` or `}` a slash is a division, never a regular expression.
 */

/** @typedef {{ kind: 'word'|'number'|'string'|'template'|'regex'|'punct'|'comment', text: string, line: number, endLine: number }} Token */

const punctuators = ['=>', '...', '?.', '??', '++', '--', '<<', '<=', '&&', '||', '==', '!='];
const beforeRegex = new Set(['return', 'typeof', 'case', 'in', 'of', 'do', 'else', 'void', 'delete', 'throw', 'new', 'await', 'yield', 'instanceof']);
const wordStart = /[\p{ID_Start}$_#@]/u;
const wordPart = /[\p{ID_Continue}$\u200c\u200d]/u;

class Scanner {
  constructor(source) {
    this.source = source;
    this.at = 0;
    this.line = 1;
    /** @type {Token[]} */
    this.tokens = [];
  }

  /** Emits the text up to `end` as one token. */
  push(kind, end) {
    const text = this.source.slice(this.at, end);
    const line = this.line;
    for (const character of text) if (character === '\n') this.line += 1;
    this.tokens.push({ kind, text, line, endLine: this.line });
    this.at = end;
  }

  lastCode() {
    return this.tokens.findLast((token) => token.kind !== 'comment');
  }

  /** Whether a slash here starts a regular expression. */
  regexAllowed() {
    const last = this.lastCode();
    if (last === undefined) return true;
    if (last.kind === 'word') return beforeRegex.has(last.text);
    if (last.kind !== 'punct') return false;
    if (last.text === '!') return !this.postfixBang();
    return ![')', ']', '}', '++', '--'].includes(last.text);
  }

  /** `value!` is an assertion, `!value` an operator. */
  postfixBang() {
    const code = this.tokens.filter((token) => token.kind !== 'comment');
    const before = code.at(-2);
    return before !== undefined && (before.kind === 'word' && !beforeRegex.has(before.text) || [')', ']'].includes(before.text));
  }

  endOfString(quote) {
    let at = this.at + 1;
    while (at < this.source.length && this.source[at] !== quote && this.source[at] !== '\n') at += this.source[at] === '\\' ? 2 : 1;
    return Math.min(at + 1, this.source.length);
  }

  endOfRegex() {
    let at = this.at + 1;
    let inClass = false;
    while (at < this.source.length && this.source[at] !== '\n' && (inClass || this.source[at] !== '/')) {
      if (this.source[at] === '\\') at += 1;
      else if (this.source[at] === '[') inClass = true;
      else if (this.source[at] === ']') inClass = false;
      at += 1;
    }
    at += 1;
    while (at < this.source.length && wordPart.test(this.source[at])) at += 1;
    return Math.min(at, this.source.length);
  }

  /** Reads template text from `this.at` to `${` or the closing backtick; the expression's tokens follow as code. */
  template() {
    let at = this.at + 1;
    for (;;) {
      const character = this.source[at];
      if (character === undefined || character === '`') return this.push('template', Math.min(at + 1, this.source.length));
      if (character === '\\') at += 2;
      else if (character === '$' && this.source[at + 1] === '{') {
        this.push('template', at + 2);
        this.run('}');
        at = this.at;
        if (this.source[at] === '}') at += 1;
      } else at += 1;
    }
  }

  /** Scans code up to an unmatched `stop`, or to the end. */
  run(stop) {
    let depth = 0;
    while (this.at < this.source.length) {
      const character = this.source[this.at];
      if (stop !== undefined && character === stop && depth === 0) return;
      if (character === '{') depth += 1;
      if (character === '}') depth -= 1;
      this.step(character);
    }
  }

  step(character) {
    const next = this.source[this.at + 1];
    if (character === '\n') { this.line += 1; this.at += 1; return; }
    if (/\s/.test(character)) { this.at += 1; return; }
    if (character === '#' && next === '!' && this.at === 0 || character === '/' && next === '/') return this.push('comment', this.indexOr('\n'));
    if (character === '/' && next === '*') return this.push('comment', this.indexOr('*/', 2));
    if (character === '"' || character === "'") return this.push('string', this.endOfString(character));
    if (character === '`') return this.template();
    if (character === '/' && this.regexAllowed()) return this.push('regex', this.endOfRegex());
    if (/[0-9]/.test(character)) return this.push('number', this.at + /^[0-9][\w.]*/.exec(this.source.slice(this.at, this.at + 400))[0].length);
    if (wordStart.test(character)) {
      let end = this.at + 1;
      while (end < this.source.length && wordPart.test(this.source[end])) end += 1;
      return this.push('word', end);
    }
    const long = punctuators.find((text) => this.source.startsWith(text, this.at));
    return this.push('punct', this.at + (long?.length ?? 1));
  }

  indexOr(text, past = 0) {
    const found = this.source.indexOf(text, this.at + past);
    return found < 0 ? this.source.length : found + past;
  }
}

/**
 * All tokens of a source text in order, comments included. The text inside `${…}` of a template becomes code tokens.
 * @param {string} source
 * @returns {Token[]}
 */
export function tokensOf(source) {
  const scanner = new Scanner(source);
  scanner.run();
  return scanner.tokens;
}

/** The value of a string token or of a template without expressions. */
export function textOfString(token) {
  return token.text.slice(1, -1);
}
