/**
 * The XML of S3's answers: elements, text and entities, bounded. Document types are refused, so no entity can grow; attributes, comments and
 * processing instructions are passed over. Source: W3C XML 1.0 (Fifth Edition), the part that S3 uses.
 */
import { FormatError, isUtf8, textOf } from '../../../core/index.ts';

/** An element with its children, or its text when it has none. */
export interface XmlElement {
  /** Without its namespace prefix. */
  readonly name: string;
  readonly text: string;
  readonly children: readonly XmlElement[];
}

interface OpenElement {
  readonly name: string;
  text: string;
  readonly children: XmlElement[];
}

const DEPTH_MAX = 16;
/** A page of a thousand objects has some 8,000. */
const ELEMENTS_MAX = 50_000;

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };
/** A tag, a comment, a CDATA section, a processing instruction, or a run of text. Sticky: what it does not match is malformed. */
const token = /<!--[^]*?-->|<!\[CDATA\[([^]*?)\]\]>|<\?[^]*?\?>|<(\/?)([A-Za-z_][\w.:-]*)((?:\s+[\w.:-]+\s*=\s*(?:"[^"<]*"|'[^'<]*'))*)\s*(\/?)>|([^<]+)/y;

function fault(field: string, offset: number, found: string): FormatError {
  return new FormatError('Read an answer of the store', { structure: 'XML', field, offset, found: found.slice(0, 40), expected: 'well-formed XML' });
}

function decode(text: string, offset: number): string {
  return text.replace(/&([^;&]{0,12};?)/g, (whole, inside: string) => {
    const number = /^#(?:x([0-9a-f]{1,6})|([0-9]{1,7}));$/i.exec(inside);
    const code = number === null ? Number.NaN : number[1] === undefined ? Number(number[2]) : Number.parseInt(number[1], 16);
    const value = number === null ? entities[inside.slice(0, -1)] : code <= 0x10_ffff ? String.fromCodePoint(code) : undefined;
    if (value === undefined || !inside.endsWith(';')) throw fault('entity', offset, whole);
    return value;
  });
}

/** Parses a document and returns its root. @throws {FormatError} malformed, not UTF-8, too deep or too many elements. */
export function parseXml(bytes: Uint8Array): XmlElement {
  if (!isUtf8(bytes)) throw fault('encoding', 0, 'bytes that are not UTF-8');
  const text = textOf(bytes).replace(/^\ufeff/, '');
  const top: OpenElement = { name: '', text: '', children: [] };
  const open: OpenElement[] = [top];
  const tags: string[] = []; // of the open elements, with their prefixes
  let elements = 0;
  token.lastIndex = 0;
  for (let at = 0; at < text.length; at = token.lastIndex) {
    const match = token.exec(text);
    if (match === null) throw fault('markup', at, text.slice(at, at + 40));
    const [, section, closing, tag, , empty, run] = match;
    const current = open[open.length - 1] as OpenElement;
    if (section !== undefined) current.text += section;
    else if (run !== undefined) current.text += decode(run, at);
    else if (tag === undefined) continue;
    else if (closing === '/') {
      if (tags.pop() !== tag) throw fault('end tag', at, tag);
      open.pop();
    } else {
      elements += 1;
      if (elements > ELEMENTS_MAX || open.length > DEPTH_MAX) throw fault('size', at, `${elements} elements, depth ${open.length}`);
      const element: OpenElement = { name: tag.slice(tag.indexOf(':') + 1), text: '', children: [] };
      current.children.push(element);
      if (empty === '/') continue;
      open.push(element);
      tags.push(tag);
    }
  }
  const root = top.children[0];
  if (root === undefined || top.children.length > 1 || open.length > 1 || top.text.trim() !== '') throw fault('root element', text.length, `${top.children.length} roots, ${open.length - 1} open`);
  return root;
}

/** Text of the first child of this name; undefined when there is none. */
export function childText(element: XmlElement, name: string): string | undefined {
  return element.children.find((child) => child.name === name)?.text;
}
