/** Keys as text files: a word that says what the file is, then names and values, all between white space. Bytes: `docs/protocol.md`, section "Key files". */
import { FormatError, textOf, utf8 } from '../../../core/index.ts';
import { KEY_BYTES } from '../noise/index.ts';

/** Bytes of the longest key file. */
export const KEY_FILE_BYTES_MAX = 4096;

/** First words of our key files. */
export const keyKinds = {
  site: 'holdfast-site-key-1', server: 'holdfast-server-identity-1', host: 'holdfast-host-identity-1', enrolled: 'holdfast-enrolled-host-1',
} as const;
/** One of {@link keyKinds}. */
export type KeyKind = (typeof keyKinds)[keyof typeof keyKinds];

const BASE64_KEY = /^[A-Za-z0-9+/]{43}=$/;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** Whether a text can name a host or a domain: 1…63 letters, digits, `.`, `_`, `-`, the first a letter or digit. */
export function isKeyName(text: string): boolean {
  return NAME.test(text);
}

/** 32 bytes as text. */
export function keyText(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('base64');
}

/** The file of some values; one value without a name stands beside the kind. */
export function encodeKeyText(kind: KeyKind, values: Readonly<Record<string, string>> | string): Uint8Array {
  if (typeof values === 'string') return utf8(`${kind} ${values}\n`);
  return utf8(`${[kind, ...Object.entries(values).map(([name, value]) => `${name} ${value}`)].join('\n')}\n`);
}

/** Values of a key file. Errors name the file and the field, never what was found there: it may be a secret. */
export class KeyText {
  readonly kind: string;
  readonly #file: string;
  readonly #words: readonly string[];

  /** Overwrites `content`. */
  constructor(file: string, content: Uint8Array) {
    this.#file = file;
    const [kind = '', ...words] = textOf(content).trim().split(/\s+/);
    content.fill(0);
    this.kind = kind;
    this.#words = words;
  }

  /** @throws {FormatError} the file is another one. */
  expect(kind: KeyKind, words: number): void {
    if (this.kind !== kind) throw this.fault('kind', `the word '${kind}'`);
    if (this.#words.length !== words) throw this.fault('length', `${words} words behind the first`);
  }

  /** The key of a file without names. */
  onlyKey(): Uint8Array {
    return this.#decode('key', this.#words[0]);
  }

  /** 32 bytes; the caller overwrites them after use. @throws {FormatError} */
  key(name: string): Uint8Array {
    return this.#decode(name, this.#value(name));
  }

  /** A name of a host or domain. @throws {FormatError} */
  name(name: string): string {
    const value = this.#value(name);
    if (value === undefined || !isKeyName(value)) throw this.fault(name, '1…63 letters, digits, dots, underscores and hyphens');
    return value;
  }

  /** `yes` or `no`. @throws {FormatError} */
  flag(name: string): boolean {
    const value = this.#value(name);
    if (value !== 'yes' && value !== 'no') throw this.fault(name, 'yes or no');
    return value === 'yes';
  }

  /** An error of this file. */
  fault(field: string, expected: string): FormatError {
    return new FormatError(`Read key file '${this.#file}'`, { structure: 'key-file', field, expected });
  }

  #value(name: string): string | undefined {
    const at = this.#words.findIndex((word, i) => i % 2 === 0 && word === name);
    return at === -1 ? undefined : this.#words[at + 1];
  }

  #decode(name: string, text: string | undefined): Uint8Array {
    const key = text !== undefined && BASE64_KEY.test(text) ? new Uint8Array(Buffer.from(text, 'base64')) : undefined;
    if (key?.length !== KEY_BYTES) throw this.fault(name, '32 bytes in base64');
    return key;
  }
}
