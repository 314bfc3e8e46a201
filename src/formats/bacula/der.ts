/** The little of DER that Bacula's PKI records need. Source: ITU-T X.690, definite lengths only. */
import { FormatError } from '../../core/index.ts';

/** One element: its tag byte and its content. */
export interface DerElement {
  readonly tag: number;
  readonly content: Uint8Array;
}

/** Tags used here. */
export const DER = { integer: 0x02, octets: 0x04, oid: 0x06, sequence: 0x30, set: 0x31 } as const;

const ELEMENTS_MAX = 4096;

function fault(field: string, offset: number): FormatError {
  return new FormatError('Read DER', { structure: 'der', field, offset });
}

/** All elements of `bytes`, one behind the other. @throws {FormatError} */
export function derElements(bytes: Uint8Array): readonly DerElement[] {
  const elements: DerElement[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (elements.length >= ELEMENTS_MAX) throw fault('elements', at);
    const tag = bytes[at] as number;
    let length = bytes[at + 1];
    if (length === undefined) throw fault('length', at);
    at += 2;
    if (length >= 0x80) {
      const octets = length & 0x7f;
      if (octets === 0 || octets > 4) throw fault('length', at);
      length = 0;
      for (let i = 0; i < octets; i += 1) length = length * 256 + (bytes[at + i] ?? 0);
      at += octets;
    }
    if (at + length > bytes.length) throw fault('length', at);
    elements.push({ tag, content: bytes.subarray(at, at + length) });
    at += length;
  }
  return elements;
}

/** The elements inside a SEQUENCE or SET. @throws {FormatError} when `element` is absent or is neither. */
export function derInside(element: DerElement | undefined): readonly DerElement[] {
  if (element === undefined || (element.tag !== DER.sequence && element.tag !== DER.set)) throw fault('tag', 0);
  return derElements(element.content);
}

/** The dotted form of an OBJECT IDENTIFIER. @throws {FormatError} when `element` is absent or is none. */
export function derOid(element: DerElement | undefined): string {
  if (element === undefined || element.tag !== DER.oid) throw fault('oid', 0);
  const arcs: number[] = [];
  let value = 0;
  for (const byte of element.content) {
    value = value * 128 + (byte & 0x7f);
    if (value > 0xffff_ffff) throw fault('oid', 0);
    if (byte < 0x80) {
      arcs.push(value);
      value = 0;
    }
  }
  const first = arcs[0] ?? 0;
  return [Math.min(2, Math.floor(first / 40)), first - 40 * Math.min(2, Math.floor(first / 40)), ...arcs.slice(1)].join('.');
}
