/** The result as Markdown: one table per corpus, medium and class, and the ratios below it. */
import type { Facts } from './facts.ts';
import type { Command } from './measure.ts';
import type { Medium } from './options.ts';
import { classRatios } from './ratios.ts';
import type { Ratio } from './ratios.ts';
import type { Operation, Session } from './session.ts';
import type { Summary, ToolRow } from './statistics.ts';
import { toolRow } from './statistics.ts';
import type { CompressionClass, Tool } from './tools/tool.ts';

/** Everything measured on one corpus and medium. */
export interface Group {
  readonly corpus: string;
  readonly description: string;
  readonly medium: Medium;
  /** Bytes of version 0, of all versions after it together, and of the newest one. */
  readonly firstBytes: number;
  readonly laterBytes: number;
  readonly latestBytes: number;
  /** One-minute load average when the group began. */
  readonly loadAverage: number;
  readonly sessions: readonly Session[];
}

/** A group with its figures put together, as in the JSON file. */
export interface GroupResult extends Group {
  readonly classes: readonly { readonly class: CompressionClass; readonly rows: readonly ToolRow[]; readonly ratios: readonly Ratio[] }[];
}

const CLASSES: readonly CompressionClass[] = ['none', 'zstd', 'limit'];
const CLASS_TITLES: Readonly<Record<CompressionClass, string>> = { none: 'no compression', zstd: 'compressed', limit: 'limits of the machine' };
const MB = 1e6;

/** Makes the rows and ratios of a group. */
export function summarizeGroup(group: Group, tools: readonly Tool[]): GroupResult {
  const classes = CLASSES.flatMap((klass) => {
    const rows = tools.filter((tool) => tool.class === klass).map((tool) => toolRow(tool, group.sessions));
    return rows.length === 0 ? [] : [{ class: klass, rows, ratios: classRatios(rows) }];
  });
  return { ...group, classes };
}

/** The whole page. Command lines and failures hold this machine's directories: see {@link nameDirectories}. */
export function renderReport(facts: Facts, groups: readonly GroupResult[], tools: readonly Tool[]): string {
  return [
    '# Peers comparison',
    '',
    ...renderFacts(facts),
    '',
    '## Targets',
    '',
    ...renderVerdicts(groups),
    ...groups.flatMap(renderGroup),
    '## Tools',
    '',
    ...tools.map((tool) => `- **${tool.name}** (${tool.codec}): ${tool.note}. ${facts.versions[tool.name] ?? 'not installed: skipped'}`),
    '',
    '## Command lines',
    '',
    ...renderCommands(groups),
    '',
  ].join('\n');
}

function renderFacts(facts: Facts): string[] {
  const load = facts.loadAverage.map((value) => value.toFixed(2)).join(' ');
  const { rounds, smoke } = facts.options;
  return [
    `${facts.startedAt} · ${facts.cpu}, ${facts.cores} cores, ${Math.round(facts.memoryBytes / 2 ** 30)} GiB · Linux ${facts.kernel} · Node ${facts.node}`,
    `· disk: ${facts.diskFilesystem} · load at start ${load} · accounting: ${facts.accounting}.`,
    '',
    `Whole processes with start-up, ${rounds} round(s), tools interleaved within a round, median [min–max]; warm source on the disk, \`sync\` before`,
    'each timed command; stores, caches and restore targets on the named medium. MB = 10^6 bytes. Restic always encrypts.',
    ...(smoke ? ['', '**Smoke run: the sizes are far too small for the times to mean anything.**'] : []),
    ...(facts.skipped.length > 0 ? ['', `Skipped, not installed (${facts.skipped.length}): ${facts.skipped.join(', ')}.`] : []),
  ];
}

function renderVerdicts(groups: readonly GroupResult[]): string[] {
  const lines = groups.flatMap((group) =>
    group.classes.flatMap(({ class: klass, ratios }) =>
      ratios
        .filter((ratio) => ratio.wanted !== undefined && ratio.verdict !== 'met')
        .map((ratio) => `- ${group.corpus}, ${group.medium}, ${klass}: ${describe(ratio)}`),
    ),
  );
  const all = groups.flatMap((group) => group.classes.flatMap(({ ratios }) => ratios));
  const met = all.filter((ratio) => ratio.verdict === 'met').length;
  const judged = all.filter((ratio) => ratio.wanted !== undefined).length;
  if (judged === 0) return ['holdfast is not in this run: nothing to judge.', ''];
  return [`${met} of ${judged} targets met.${lines.length > 0 ? ' Not met:' : ''}`, '', ...lines, ''];
}

function renderGroup(group: GroupResult): string[] {
  const sizes = `first ${megabytes(group.firstBytes)} MB${group.laterBytes > 0 ? `, later versions ${megabytes(group.laterBytes)} MB` : ''}`;
  return [
    `## ${group.corpus} on ${group.medium}`,
    '',
    `${group.description}; ${sizes}; load ${group.loadAverage.toFixed(2)}.`,
    '',
    ...group.classes.flatMap((part) => [
      `### ${group.corpus} on ${group.medium}: ${CLASS_TITLES[part.class]}`,
      '',
      ...renderTable(group, part.rows),
      '',
      ...part.ratios.map((ratio) => `- ${describe(ratio)}`),
      ...(part.ratios.length > 0 ? [''] : []),
    ]),
  ];
}

interface Column {
  readonly title: string;
  readonly cell: (row: ToolRow) => string;
}

function renderTable(group: GroupResult, rows: readonly ToolRow[]): string[] {
  const time = (title: string, operation: Operation, bytes?: number): Column => ({ title, cell: (row) => timeCell(row, operation, bytes) });
  const has = (operation: Operation): boolean => rows.some((row) => row.operations[operation] !== undefined);
  const columns: Column[] = [
    { title: 'tool', cell: (row) => row.name },
    { title: 'codec', cell: (row) => row.codec },
    time('first s (MB/s)', 'first', group.firstBytes),
    ...(has('later') ? [time('later versions s (MB/s)', 'later', group.laterBytes)] : []),
    ...(has('unchanged') ? [time('unchanged s', 'unchanged'), time('touched s', 'touched')] : []),
    time('restore s (MB/s)', 'restore', group.latestBytes),
    ...(has('restoreVerified') ? [time('restore --verify s', 'restoreVerified')] : []),
    { title: 'stored MB', cell: (row) => (row.storedBytes === undefined ? '–' : megabytes(row.storedBytes.median)) },
    { title: 'peak RSS MB backup / restore', cell: (row) => `${peakCell(row, 'first', 'later')} / ${peakCell(row, 'restore')}` },
    { title: 'CPU s backup / restore', cell: (row) => `${cpuCell(row, 'first', 'later')} / ${cpuCell(row, 'restore')}` },
    { title: 'restored content', cell: contentCell },
  ];
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return [
    line(columns.map((column) => column.title)),
    line(columns.map((_, index) => (index < 2 ? '---' : '---:'))),
    ...rows.map((row) => line(columns.map((column) => column.cell(row)))),
  ];
}

function timeCell(row: ToolRow, operation: Operation, bytes?: number): string {
  const wall = row.operations[operation]?.wallS;
  if (wall === undefined) return '–';
  return `${range(wall)}${bytes === undefined ? '' : ` (${Math.round(bytes / MB / wall.median)})`}`;
}

function range({ median, min, max }: Summary): string {
  return min === max ? median.toFixed(2) : `${median.toFixed(2)} [${min.toFixed(2)}–${max.toFixed(2)}]`;
}

function peakCell(row: ToolRow, ...operations: readonly Operation[]): string {
  const peaks = operations.flatMap((operation) => row.operations[operation]?.peakRssBytes.max ?? []);
  return peaks.length === 0 ? '–' : megabytes(Math.max(...peaks));
}

function cpuCell(row: ToolRow, ...operations: readonly Operation[]): string {
  const seconds = operations.flatMap((operation) => row.operations[operation]?.cpuS.median ?? []);
  return seconds.length === 0 ? '–' : seconds.reduce((sum, one) => sum + one, 0).toFixed(2);
}

function contentCell(row: ToolRow): string {
  if (row.failures.length > 0) return `**failed**: ${row.failures[0]?.split('\n').at(-1)?.slice(-200).replaceAll('|', '/')}`;
  return row.content === 'differs' ? '**differs**' : row.content;
}

function describe(ratio: Ratio): string {
  if (ratio.ratio === undefined) return `${ratio.target}: no figure`;
  const bound = ratio.target.startsWith('stored') ? '≤' : '≥';
  const wanted = ratio.wanted === undefined ? 'for information' : `wanted ${bound} ${ratio.wanted}: **${ratio.verdict}**`;
  return `${ratio.target} (${ratio.peer}): ${ratio.ratio.toFixed(2)}×, ${wanted}`;
}

function renderCommands(groups: readonly GroupResult[]): string[] {
  const lines = new Map<string, string>();
  for (const session of groups.flatMap((group) => group.sessions)) {
    for (const [operation, commands] of Object.entries(session.commands)) {
      const key = `${session.tool}, ${operation}`;
      if (!lines.has(key)) lines.set(key, commands.map(commandLine).join(' && '));
    }
  }
  return [...lines].map(([key, text]) => `- ${key}: \`${text}\``);
}

/** A command as one would type it. */
export function commandLine(command: Command): string {
  const quote = (arg: string): string => (/^[\w@%+=:,./$-]+$/.test(arg) ? arg : `'${arg.replaceAll("'", "'\\''")}'`);
  const text = command.argv.map(quote).join(' ');
  return command.cwd === undefined ? text : `cd ${quote(command.cwd)} && ${text}`;
}

/** Replaces directories of this machine by names, in the order of `paths`: inner directories first. */
export function nameDirectories(text: string, paths: ReadonlyMap<string, string>): string {
  let named = text;
  for (const [path, name] of paths) named = named.replaceAll(path, name);
  return named;
}

function megabytes(bytes: number): string {
  const value = bytes / MB;
  return value < 10 ? value.toFixed(2) : value.toFixed(1);
}
