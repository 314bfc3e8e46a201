/** Reads the steps of `docs/runbook.md`, and writes measured times back into it. */
import { readFileSync, writeFileSync } from 'node:fs';

/** A step: `### \`id\` Title`, then text, then one block of shell commands. */
export interface RunbookStep {
  readonly id: string;
  readonly title: string;
  readonly commands: string;
}

const heading = /^### `([a-z0-9-]+)` (.+)$/;
const figures = /(?<=<!-- figures -->\n)[\s\S]*(?=<!-- \/figures -->)/;

/** All steps in order. @throws {RangeError} a heading of another form, two steps of one id, or not exactly one block of commands. */
export function parseRunbook(text: string): readonly RunbookStep[] {
  const steps = text.split(/^(?=##)/m).filter((part) => part.startsWith('### ')).map((part) => {
    const [line = ''] = part.split('\n');
    const [, id, title] = heading.exec(line) ?? [];
    const blocks = [...part.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, commands = '']) => commands);
    const [commands] = blocks;
    if (id === undefined || title === undefined || commands === undefined || blocks.length !== 1) throw new RangeError(`Read step '${line}': expected an id and one block of commands, found '${blocks.length}'`);
    return { id, title, commands };
  });
  const twice = steps.find((step, i) => steps.findIndex((other) => other.id === step.id) !== i);
  if (twice !== undefined) throw new RangeError(`Read step '${twice.id}': there are two of them`);
  return steps;
}

/** The page with other text between its marks. @throws {RangeError} when it has no marks. */
export function withFigures(text: string, content: string): string {
  if (!figures.test(text)) throw new RangeError("Write figures: the page has no '<!-- figures -->' marks");
  return text.replace(figures, () => content);
}

/** Replaces the figures in a file. */
export function writeFigures(file: string, content: string): void {
  writeFileSync(file, withFigures(readFileSync(file, 'utf8'), content));
}
