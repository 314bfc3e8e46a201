/**
 * Small objects as text: a line that says what it is and of which version, a line of JSON, and the SHA-256 of both, each ended by a newline.
 * Readable by people, refused by older builds, and no flipped bit goes unseen. Layout: `docs/formats/document.md`.
 */
import { createHash } from 'node:crypto';
import { FormatError, IntegrityError, UnsupportedError, textOf, utf8 } from '../../core/index.ts';

/** What a document is, e.g. `{ kind: 'manifest', version: 1 }`. */
export interface DocumentKind {
  readonly kind: string;
  readonly version: number;
}

const NAME = 'holdfast';

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Encodes a body that is JSON. */
export function encodeDocument(kind: DocumentKind, body: object): Uint8Array {
  const text = `${NAME} ${kind.kind} ${kind.version}\n${JSON.stringify(body)}\n`;
  return utf8(`${text}${digestOf(text)}\n`);
}

/** The kind that a document says it is; undefined when it is none. Looks at the first line alone. */
export function documentKind(bytes: Uint8Array): DocumentKind | undefined {
  const match = /^holdfast ([a-z]+) ([0-9]{1,9})\n/.exec(textOf(bytes.subarray(0, 64)));
  return match === null ? undefined : { kind: match[1] ?? '', version: Number(match[2]) };
}

/**
 * Decodes a document of this kind and version. `what` says what is being read, in errors: "Read manifest 'ab…'".
 * @throws {FormatError} another thing. @throws {UnsupportedError} another version. @throws {IntegrityError} a wrong digest.
 */
export function decodeDocument(bytes: Uint8Array, kind: DocumentKind, what: string): Readonly<Record<string, unknown>> {
  const found = documentKind(bytes);
  const fault = (field: string, is: string, expected: string): FormatError => new FormatError(what, { structure: kind.kind, field, offset: 0, found: is, expected });
  if (found?.kind !== kind.kind) {
    const [line = ''] = textOf(bytes.subarray(0, 64)).split('\n');
    throw fault('first line', line.replace(/[^ -~]/g, '?'), `${NAME} ${kind.kind} ${kind.version}`);
  }
  if (found.version !== kind.version) {
    throw new UnsupportedError(`${what}: its format is '${found.version}', this build knows '${kind.version}': use a newer holdfast`);
  }
  const [first = '', json = '', digest = '', ...rest] = textOf(bytes).split('\n');
  const computed = digestOf(`${first}\n${json}\n`);
  if (computed !== digest || rest.length !== 1 || rest[0] !== '') throw new IntegrityError(`${what}: its bytes have digest '${computed}', it says '${digest.slice(0, 64)}'`);
  let body: unknown;
  try {
    body = JSON.parse(json);
  } catch (error) {
    throw new FormatError(what, { structure: kind.kind, field: 'body', found: 'no JSON', expected: 'JSON' }, error);
  }
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw fault('body', typeof body, 'an object');
  return body as Readonly<Record<string, unknown>>;
}
