/** Bodies that are JSON objects, and their fields, checked. */
import { ProtocolError, isUtf8, textOf, utf8 } from '../../core/index.ts';

/** A JSON object as it came. */
export type JsonObject = Readonly<Record<string, unknown>>;

const NAMES_MAX = 100_000;

/** Encodes a body. */
export function encodeJson(value: object): Uint8Array {
  return utf8(JSON.stringify(value));
}

/** @throws {ProtocolError} when it is no JSON object. `what` names the message. */
export function decodeJson(body: Uint8Array, what: string): JsonObject {
  try {
    const value: unknown = isUtf8(body) ? JSON.parse(textOf(body)) : undefined;
    if (isObject(value)) return value;
  } catch {
    // reported below
  }
  throw new ProtocolError(`Read '${what}': its '${body.length}' bytes are no JSON object`);
}

/** Whether a value is an object and no list. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function wrong(key: string, expected: string): ProtocolError {
  return new ProtocolError(`Read message: its field '${key}' is not ${expected}`);
}

/** @throws {ProtocolError} when the field is no text, or does not match. */
export function textField(object: JsonObject, key: string, pattern?: RegExp): string {
  const value = object[key];
  if (typeof value !== 'string' || pattern?.test(value) === false) throw wrong(key, pattern === undefined ? 'a text' : `a text like ${String(pattern)}`);
  return value;
}

/** The same for a field that may be absent. */
export function optionalText(object: JsonObject, key: string, pattern?: RegExp): string | undefined {
  return object[key] === undefined ? undefined : textField(object, key, pattern);
}

/** @throws {ProtocolError} when the field is no list of texts. */
export function textsField(object: JsonObject, key: string): readonly string[] {
  const value = object[key];
  if (!Array.isArray(value) || value.length > NAMES_MAX || value.some((one) => typeof one !== 'string')) throw wrong(key, 'a list of texts');
  return value as readonly string[];
}

/** @throws {ProtocolError} when the field is no finite number. */
export function numberField(object: JsonObject, key: string): number {
  const value = object[key];
  if (typeof value !== 'number' || !Number.isFinite(value)) throw wrong(key, 'a number');
  return value;
}

/** @throws {ProtocolError} when the field is no object. */
export function objectField(object: JsonObject, key: string): JsonObject {
  const value = object[key];
  if (!isObject(value)) throw wrong(key, 'an object');
  return value;
}

/** Bytes in a field of base64. @throws {ProtocolError} */
export function bytesField(object: JsonObject, key: string): Uint8Array {
  return new Uint8Array(Buffer.from(textField(object, key, /^[A-Za-z0-9+/]*={0,2}$/), 'base64'));
}

/** An object whose values are texts and numbers. @throws {ProtocolError} */
export function parametersField(object: JsonObject, key: string): Readonly<Record<string, string | number>> {
  const value = objectField(object, key);
  if (Object.keys(value).length > NAMES_MAX || Object.values(value).some((one) => typeof one !== 'string' && !Number.isFinite(one))) throw wrong(key, 'an object of texts and numbers');
  return value as Readonly<Record<string, string | number>>;
}
