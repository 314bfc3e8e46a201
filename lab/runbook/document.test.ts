import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRunbook, withFigures } from './document.ts';

const page = '# Page\n\n## Part\n\n### `first-step` What is wrong\nText.\n\n```sh\na\nb "$C"\n```\n\n### `second` More\n```sh\nc\n```\n\n## Times\n<!-- figures -->\nold\n<!-- /figures -->\n';

test('steps have an id, a title and their commands', () => {
  assert.deepEqual(parseRunbook(page), [
    { id: 'first-step', title: 'What is wrong', commands: 'a\nb "$C"\n' }, { id: 'second', title: 'More', commands: 'c\n' },
  ]);
});

test('a step that could be passed over is refused', () => {
  for (const [what, text] of [
    ['no id', page.replace('`second` ', '')], ['no commands', page.replace('```sh\nc\n```\n', '')], ['two blocks', page.replace('```sh\nc\n```\n', '```sh\nc\n```\n```sh\nd\n```\n')],
    ['the same id twice', page.replace('`second`', '`first-step`')], ['another language', page.replace('```sh\nc', '```bash\nc')],
  ] as const) assert.throws(() => parseRunbook(text), RangeError, what);
});

test('figures go between their marks', () => {
  assert.equal(withFigures(page, 'new $& text\n'), page.replace('old\n', () => 'new $& text\n'));
  assert.throws(() => withFigures('no marks', 'x'), RangeError);
});
