/** Fields of a document that was read: each is checked for its type and range before it is believed. */
import { FormatError } from '../../core/index.ts';

type Body = Readonly<Record<string, unknown>>;

/** Reads typed fields. Every method throws {@link FormatError} naming the field when it is not what it must be. */
export class DocumentFields {
  readonly #body: Body;
  readonly #what: string;
  readonly #structure: string;

  /** `what` says what is being read: "Read key slot 'keys/slot-…'". */
  constructor(body: Body, structure: string, what: string) {
    this.#body = body;
    this.#structure = structure;
    this.#what = what;
  }

  /** Bytes written as hexadecimal digits, exactly `length` of them. */
  bytes(field: string, length: number): Uint8Array {
    const text = this.#text(field);
    if (text.length !== length * 2 || !/^[0-9a-f]*$/.test(text)) throw this.#fault(field, `${length * 2} hexadecimal digits`);
    return new Uint8Array(Buffer.from(text, 'hex'));
  }

  /** A whole number within both bounds. */
  integer(field: string, least: number, most: number): number {
    const value = this.#body[field];
    if (!Number.isSafeInteger(value) || (value as number) < least || (value as number) > most) throw this.#fault(field, `a whole number ${least}…${most}`);
    return value as number;
  }

  /** One of some texts. */
  choice<const T extends string>(field: string, choices: readonly T[]): T {
    const value = this.#body[field];
    const found = choices.find((choice) => choice === value);
    if (found === undefined) throw this.#fault(field, choices.join(', '));
    return found;
  }

  /** A text of at most `most` characters; control characters, which a terminal would obey, become '?'. */
  label(field: string, most: number): string {
    const text = this.#text(field);
    if (text.length > most) throw this.#fault(field, `at most ${most} characters`);
    return text.replace(/[\p{Cc}\p{Cf}\p{Cs}]/gu, '?');
  }

  /** A list whose items are bodies of their own. */
  list(field: string): readonly DocumentFields[] {
    const value = this.#body[field];
    if (!Array.isArray(value)) throw this.#fault(field, 'a list');
    return value.map((item: unknown, i) => {
      if (typeof item !== 'object' || item === null) throw this.#fault(`${field}.${i}`, 'an object');
      return new DocumentFields(item as Body, `${this.#structure}.${field}.${i}`, this.#what);
    });
  }

  #text(field: string): string {
    const value = this.#body[field];
    if (typeof value !== 'string') throw this.#fault(field, 'a text');
    return value;
  }

  /** Says what was expected, not what was found: a field may be a secret. */
  #fault(field: string, expected: string): FormatError {
    return new FormatError(this.#what, { structure: this.#structure, field, expected });
  }
}
