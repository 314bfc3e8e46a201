/**
 * Shell patterns over byte paths: `*` and `?` stay inside one name, `**` crosses directories, `[a-z]` and `[!a-z]` are
 * classes. A pattern without `/` is compared with the last name; one that begins with `/` with the whole path; any
 * other may begin at each directory. A directory that matches takes all below it with it.
 */
import { UsageError, utf8 } from '../../core/index.ts';

/** Tells whether a path (`/a/b`, bytes) matches one of the patterns. */
export type PathMatcher = (path: Uint8Array) => boolean;

/** One UTF-8 character, or one stray byte, in the Latin-1 image of a path; never a slash. */
const anyCharacter = '(?:[\\x00-\\x2e\\x30-\\x7f]|[\\xc2-\\xf4][\\x80-\\xbf]{1,3}|[\\x80-\\xff])';

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

function translateClass(pattern: string, start: number): { readonly source: string; readonly end: number } | undefined {
  let at = start + 1;
  const negated = pattern[at] === '!' || pattern[at] === '^';
  if (negated) at += 1;
  const end = pattern.indexOf(']', at + 1);
  if (end < 0) return undefined;
  const body = pattern.slice(at, end).replace(/[\\\]^[]/g, '\\$&');
  return { source: negated ? `[^/${body}]` : `(?!/)[${body}]`, end };
}

function translate(pattern: string): string {
  let source = '';
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern.charAt(at);
    if (character === '*' && pattern[at + 1] === '*') {
      at += 1;
      if (pattern[at + 1] === '/') {
        at += 1;
        source += '(?:[^]*/)?';
      } else source += '[^]*';
    } else if (character === '*') source += '[^/]*';
    else if (character === '?') source += anyCharacter;
    else if (character === '[') {
      const range = translateClass(pattern, at);
      if (range === undefined) source += '\\[';
      else {
        source += range.source;
        at = range.end;
      }
    } else source += character.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  }
  return source;
}

function compile(pattern: string): RegExp {
  const image = latin1(utf8(pattern.length > 1 ? pattern.replace(/\/+$/, '') : pattern));
  const prefix = image.startsWith('/') ? '' : '(?:[^]*/)';
  try {
    return new RegExp(`^${prefix}${translate(image)}$`);
  } catch (error) {
    throw new UsageError(`Read pattern '${pattern}': ${(error as Error).message}`, { pattern });
  }
}

/**
 * Patterns that remember which of them matched something, so that a mistyped one can be told. Without patterns nothing matches.
 * Callers that walk top-down need to test each path once: a match of an ancestor is theirs to remember.
 */
export class Patterns {
  readonly count: number;
  readonly #patterns: readonly { readonly text: string; readonly expression: RegExp; matched: boolean }[];

  /** @throws {UsageError} for a pattern that cannot be read. */
  constructor(patterns: readonly string[]) {
    this.count = patterns.length;
    this.#patterns = patterns.map((text) => ({ text, expression: compile(text), matched: false }));
  }

  /** Whether one of them matches. One that has not matched yet is tried even when another one did. */
  matches(path: Uint8Array): boolean {
    if (this.count === 0) return false;
    const image = latin1(path);
    let found = false;
    for (const pattern of this.#patterns) {
      if ((found && pattern.matched) || !pattern.expression.test(image)) continue;
      pattern.matched = true;
      found = true;
    }
    return found;
  }

  /** Those that have matched nothing so far. Below a directory that is left out nothing is looked at. */
  unmatched(): readonly string[] {
    return this.#patterns.filter((pattern) => !pattern.matched).map((pattern) => pattern.text);
  }
}
