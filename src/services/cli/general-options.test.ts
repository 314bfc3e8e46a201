/** The help of a verb is about the verb; what all take is described once, and taken by all. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Command } from 'commander';
import { addGeneralOptions } from './general-options.ts';
import { buildProgram } from './program.ts';

const program = buildProgram('0');
const verbs = program.commands.filter((command) => command.name() !== 'help');
const flagsOf = /(?<=^ {2})(?:-\w, )?--[a-z-]+/gm;
const generalLine = /^General options \('holdfast help' describes them\): (.*)$/gm;

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({ writeOut: (part) => { text += part; } }).outputHelp();
  return text;
}

function generalOf(name: string): readonly string[] {
  const lines = [...helpOf(verbs.find((command) => command.name() === name) ?? assert.fail(name)).matchAll(generalLine)];
  assert.equal(lines.length, 1, name);
  return lines[0]?.[1]?.split(', ') ?? [];
}

describe('general options', () => {
  test('are in one line of the help of each verb, those that mean something to it', () => {
    const all = ['--json', '--quiet', '--key', '--key-cmd', '--cache-dir', '--wire-key', '--map-user', '--map-group'];
    assert.deepEqual(['ls', 'backup', 'restore', 'mount'].map(generalOf), [all, all, all, all]);
    assert.deepEqual(generalOf('gc'), ['--json', '--quiet', '--key', '--key-cmd', '--cache-dir']);
    assert.deepEqual(generalOf('clone'), ['--json', '--quiet', '--cache-dir']);
    assert.deepEqual(generalOf('enroll'), ['--json', '--quiet']);
    for (const verb of verbs) for (const name of generalOf(verb.name())) assert.ok(all.includes(name), `${verb.name()} ${name}`);
  });

  test('are not among the own ones of a verb', () => {
    assert.deepEqual(helpOf(verbs.find((command) => command.name() === 'ls') ?? assert.fail()).match(flagsOf), ['-R, --recursive', '-l, --long', '--xattrs', '--digest', '-h, --help']);
    for (const verb of verbs) assert.doesNotMatch(helpOf(verb), /^ {2}.*--(?:json|quiet|wire-key|map-user)/m, verb.name());
  });

  test('are described by the help of the program', () => {
    const [, section = ''] = /\nGeneral options of verbs:\n([^]*?)\n\n/.exec(helpOf(program)) ?? [];
    assert.deepEqual(section.match(flagsOf), ['--json', '-q, --quiet', '--key', '--key-cmd', '--cache-dir', '--wire-key', '--map-user', '--map-group']);
  });

  test('are taken by every verb, lists as lists', () => {
    for (const { options } of verbs) assert.deepEqual(options.filter(({ hidden }) => hidden).map(({ long }) => long), ['--json', '--quiet', '--key', '--key-cmd', '--cache-dir', '--wire-key', '--map-user', '--map-group']);
    const verb = program.createCommand('ls').argument('<location>');
    addGeneralOptions(verb);
    verb.parse(['-q', 'x', '--key', 'a', '--key', 'b', '--map-user', 'u=1', '--wire-key', 'w'], { from: 'user' });
    assert.deepEqual(verb.opts(), { quiet: true, key: ['a', 'b'], mapUser: ['u=1'], wireKey: 'w' });
  });
});
