/** The parser for S3's answers: what it reads, what it refuses, and that nothing makes it hang or throw otherwise. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FormatError, utf8 } from '../../../core/index.ts';
import { childText, parseXml, type XmlElement } from './xml.ts';

test('reads an error as stores send it', () => {
  const error = parseXml(utf8('<?xml version="1.0" encoding="UTF-8"?>\n<!-- why -->\n<s:Error xmlns:s="a" b=\'c\'><Code>NoSuchKey</Code><Message/><Key>a&amp;b &#x41;&#66;<![CDATA[<&>]]></Key></s:Error>\n'));
  assert.equal(error.name, 'Error');
  assert.equal(childText(error, 'Code'), 'NoSuchKey');
  assert.equal(childText(error, 'Message'), '');
  assert.equal(childText(error, 'Key'), 'a&b AB<&>');
  assert.equal(childText(error, 'Absent'), undefined);
});

for (const text of ['', 'no XML', '<a>', '<a></b>', '<a/><b/>', '</a>', '<a>&unknown;</a>', '<a>&amp</a>', '<a>&#x110000;</a>', '<a b=c/>', '<a', '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
  '<a><!-- </a>', '<a/>tail', `${'<a>'.repeat(17)}${'</a>'.repeat(17)}`, `<a>${'<b/>'.repeat(50_000)}</a>`]) {
  test(`refuses '${text.slice(0, 30)}'`, () => { assert.throws(() => parseXml(utf8(text)), FormatError); });
}

test('refuses bytes that are not UTF-8', () => { assert.throws(() => parseXml(Uint8Array.of(0x3c, 0x61, 0x3e, 0xff)), FormatError); });

const leaf = fc.record({ name: fc.stringMatching(/^[A-Za-z_][\w.-]{0,8}$/), text: fc.string({ unit: 'grapheme' }), children: fc.constant([]) }, { noNullPrototype: true });
const tree = fc.letrec<{ element: XmlElement }>((tie) => ({
  element: fc.oneof({ depthSize: 'small' }, leaf, fc.record({ name: leaf.map(({ name }) => name), text: fc.constant(''), children: fc.array(tie('element'), { maxLength: 4 }) }, { noNullPrototype: true })),
})).element;

function build({ name, text, children }: XmlElement): string {
  const escaped = text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`);
  return `<${name}>${escaped}${children.map(build).join('')}</${name}>`;
}

test('parse of build is the same tree', () => {
  fc.assert(fc.property(tree, (root) => { assert.deepEqual(parseXml(utf8(build(root))), root); }));
});

test('mutated documents are read or refused, nothing else', () => {
  const mutations = fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 6 });
  fc.assert(fc.property(tree, mutations, (root, changes) => {
    const bytes = utf8(build(root));
    for (const [at, value] of changes) bytes[at % bytes.length] = value;
    try {
      parseXml(bytes);
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
    }
  }), { numRuns: 500 });
});
