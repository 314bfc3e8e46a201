/**
 * LVM's text format: sections in braces, `key = value` with numbers, strings and arrays of both, comments from `#` on.
 * Source: LVM2 `man 5 lvm.conf` ("SYNTAX"), texts written by vgcreate.
 */
import { FormatError } from '../../../core/index.ts';

/** A value of a key. */
export type TextValue = number | string | readonly (number | string)[];

/** Sections inside each other; LVM itself nests four. */
const DEPTH_MAX = 16;

/** One section, and the whole text. Reading a key that is absent or of another kind throws, naming it. */
export class TextSection {
  readonly path: string;
  readonly values: Map<string, TextValue> = new Map<string, TextValue>();
  readonly sections: Map<string, TextSection> = new Map<string, TextSection>();

  constructor(path: string) {
    this.path = path;
  }

  #fault(key: string, found: TextValue | undefined, expected: string): FormatError {
    return new FormatError('Read LVM metadata', { structure: this.path === '' ? 'LVM metadata' : this.path, field: key, found: found === undefined ? 'nothing' : String(found), expected });
  }

  /** @throws {FormatError} */
  text(key: string): string {
    const value = this.values.get(key);
    if (typeof value !== 'string') throw this.#fault(key, value, 'a text');
    return value;
  }

  /** A number of at least 0. @throws {FormatError} */
  count(key: string, otherwise?: number): number {
    const value = this.values.get(key) ?? otherwise;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw this.#fault(key, value, 'a number from 0 to 2^53-1');
    return value;
  }

  /** An array; a single value counts as one of one. @throws {FormatError} */
  list(key: string): readonly (number | string)[] {
    const value = this.values.get(key);
    if (value === undefined) throw this.#fault(key, value, 'a list');
    return typeof value === 'object' ? value : [value];
  }

  /** Whether a list holds a word; false where there is no list. */
  has(key: string, word: string): boolean {
    const value = this.values.get(key);
    return typeof value === 'object' ? value.includes(word) : value === word;
  }

  /** @throws {FormatError} */
  section(name: string): TextSection {
    const found = this.sections.get(name);
    if (found === undefined) throw this.#fault(name, undefined, 'a section');
    return found;
  }
}

const tokenPattern = /[ \t\r\n\0]+|#[^\n]*|"((?:[^"\\]|\\[^])*)"|[{}[\]=,]|[^ \t\r\n\0{}[\]=,"#]+/gy;

/** A token with its place; strings are told from words by `quoted`. */
interface Token {
  readonly text: string;
  readonly quoted: boolean;
  readonly at: number;
}

function* tokensOf(text: string): Generator<Token> {
  tokenPattern.lastIndex = 0;
  while (tokenPattern.lastIndex < text.length) {
    const at = tokenPattern.lastIndex;
    const match = tokenPattern.exec(text);
    if (match === null) throw new FormatError('Read LVM metadata', { structure: 'LVM metadata', field: 'syntax', offset: at, found: text.slice(at, at + 20), expected: 'a closed string' });
    const [whole, quoted] = match;
    if (quoted !== undefined) yield { text: quoted.replaceAll(/\\([^])/g, '$1'), quoted: true, at };
    else if (!/^[\s\0#]/.test(whole)) yield { text: whole, quoted: false, at };
  }
}

/** Takes tokens one by one. */
class Parser {
  readonly #tokens: Generator<Token>;
  #next: Token | undefined;

  constructor(text: string) {
    this.#tokens = tokensOf(text);
    this.#advance();
  }

  #advance(): void {
    const { value, done } = this.#tokens.next();
    this.#next = done === true ? undefined : value;
  }

  #fail(expected: string): never {
    throw new FormatError('Read LVM metadata', {
      structure: 'LVM metadata', field: 'syntax', found: this.#next?.text.slice(0, 20) ?? 'the end', expected, ...(this.#next === undefined ? {} : { offset: this.#next.at }),
    });
  }

  #is(text: string): boolean {
    return this.#next !== undefined && !this.#next.quoted && this.#next.text === text;
  }

  #take(expected: string): Token {
    const token = this.#next ?? this.#fail(expected);
    this.#advance();
    return token;
  }

  /** Everything up to the closing brace, or the end for the whole text. */
  parseInto(section: TextSection, depth: number): TextSection {
    if (depth > DEPTH_MAX) this.#fail(`at most ${DEPTH_MAX} sections inside each other`);
    for (;;) {
      if (this.#next === undefined && depth === 0) return section;
      if (this.#is('}') && depth > 0) {
        this.#advance();
        return section;
      }
      if (this.#next !== undefined && !this.#next.quoted && '{}[]=,'.includes(this.#next.text)) this.#fail('a key or a section');
      const { text: key } = this.#take(depth === 0 ? 'a key' : 'a key or "}"');
      if (this.#is('{')) {
        this.#advance();
        section.sections.set(key, this.parseInto(new TextSection(section.path === '' ? key : `${section.path}/${key}`), depth + 1));
      } else if (this.#is('=')) {
        this.#advance();
        section.values.set(key, this.#is('[') ? this.#list() : this.#scalar());
      } else this.#fail('"=" or "{"');
    }
  }

  #scalar(): number | string {
    const { text, quoted } = this.#take('a value');
    if (quoted) return text;
    if (!/^[+-]?\d+(?:\.\d+)?$/.test(text)) throw new FormatError('Read LVM metadata', { structure: 'LVM metadata', field: 'value', found: text.slice(0, 20), expected: 'a number or a string' });
    return Number(text);
  }

  #list(): readonly (number | string)[] {
    const items: (number | string)[] = [];
    for (this.#advance(); !this.#is(']');) {
      items.push(this.#scalar());
      if (this.#is(',')) this.#advance();
      else if (!this.#is(']')) this.#fail('"," or "]"');
    }
    this.#advance();
    return items;
  }
}

/** Parses a whole text. @throws {FormatError} */
export function parseMetadataText(text: string): TextSection {
  return new Parser(text).parseInto(new TextSection(''), 0);
}
