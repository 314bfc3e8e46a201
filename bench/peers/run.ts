/** Entry of `npm run bench:peers`: makes the corpora, runs every tool on every medium in rounds, writes Markdown and JSON. */
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { HoldfastError, UsageError } from '../../src/core/index.ts';
import { treeDigest } from './compare.ts';
import { prepareCorpus } from './corpora/corpus.ts';
import type { Corpus } from './corpora/corpus.ts';
import { allCorpora } from './corpora/index.ts';
import { collectFacts } from './facts.ts';
import type { Facts } from './facts.ts';
import { stopRunning } from './measure.ts';
import { parseOptions } from './options.ts';
import type { Medium, Options } from './options.ts';
import { commandLine, nameDirectories, renderReport, summarizeGroup } from './report.ts';
import type { GroupResult } from './report.ts';
import { runSession } from './session.ts';
import type { Session } from './session.ts';
import { filesIn, placeVersion } from './source.ts';
import { allTools } from './tools/index.ts';
import type { Tool } from './tools/tool.ts';

const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url));
const TMPFS = '/dev/shm';

interface Run {
  readonly options: Options;
  readonly facts: Facts;
  /** Installed tools of this run. */
  readonly tools: readonly Tool[];
  /** Asked-for tools, installed or not. */
  readonly asked: readonly Tool[];
  readonly bases: Readonly<Record<Medium, string>>;
  readonly paths: ReadonlyMap<string, string>;
}

async function main(): Promise<void> {
  const options = parseOptions(process.argv.slice(2));
  const asked = chooseTools(options);
  const corpora = choose('corpora', allCorpora, options.corpora);
  mkdirSync(options.work, { recursive: true });
  const facts = collectFacts(options, asked);
  const tools = asked.filter((tool) => facts.versions[tool.name] !== undefined);
  const bases = { disk: join(options.work, 'stores'), tmpfs: join(TMPFS, `holdfast-bench-${process.pid}`) };
  const names: [string, string][] = [[bases.tmpfs, '$STORES'], [bases.disk, '$STORES'], [options.work, '$WORK'], [process.execPath, 'node'], [REPOSITORY, '']];
  const run: Run = { options, facts, tools, asked, bases, paths: new Map(names) };
  if (facts.skipped.length > 0) say(`skipped, not installed (${facts.skipped.length}): ${facts.skipped.join(', ')}`);
  stopOnSignal(Object.values(bases));
  const groups: GroupResult[] = [];
  try {
    for (const corpus of corpora) {
      say(`corpus ${corpus.name}: preparing`);
      const all = await prepareCorpus(corpus, join(options.work, 'corpora'), options.sizes);
      const versions = all.slice(0, options.versionsMax);
      for (const medium of options.media) {
        groups.push(await runGroup(run, corpus, medium, versions));
        // After every group, so that an interrupted run leaves what it has.
        writeResults(run, groups);
      }
    }
  } finally {
    for (const base of Object.values(bases)) rmSync(base, { recursive: true, force: true });
  }
  if (groups.some((group) => group.sessions.some((session) => session.failure !== undefined || session.content === 'differs'))) process.exitCode = 1;
}

/** An interrupted run must not leave gigabytes in tmpfs. */
function stopOnSignal(bases: readonly string[]): void {
  const stop = (): void => {
    stopRunning();
    for (const base of bases) rmSync(base, { recursive: true, force: true });
    process.exit(1);
  };
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);
}

function chooseTools(options: Options): Tool[] {
  const named = choose('tools', allTools, options.tools);
  const inClass = named.filter((tool) => options.classes.length === 0 || options.classes.includes(tool.class));
  const chosen = options.tools.length > 0 ? inClass : inClass.filter((tool) => tool.onRequest !== true);
  if (chosen.length === 0) throw new UsageError(`Choose classes from 'none,zstd,limit': found '${options.classes.join(',')}'`);
  return chosen;
}

function choose<T extends { readonly name: string }>(what: string, all: readonly T[], names: readonly string[]): readonly T[] {
  for (const name of names) {
    if (!all.some((one) => one.name === name)) throw new UsageError(`Choose ${what} from '${all.map((one) => one.name).join(',')}': found '${name}'`);
  }
  return names.length === 0 ? all : all.filter((one) => names.includes(one.name));
}

async function runGroup(run: Run, corpus: Corpus, medium: Medium, versions: readonly string[]): Promise<GroupResult> {
  const live = join(run.options.work, 'live', corpus.name);
  const sizes = versions.map(directoryBytes);
  const loadAverage = loadavg()[0] ?? NaN;
  // The newest version as the tools see it, with its marker file; hashed once, outside every timing.
  const expected = treeDigest(await placeVersion(versions, versions.length - 1, live));
  const sessions: Session[] = [];
  for (let round = 0; round < run.options.rounds; round++) {
    for (const tool of rotate(run.tools, round)) {
      const base = join(run.bases[medium], 'session');
      const session = await runSession({ tool, round, versions, live, base, digest: expected });
      sessions.push(session);
      say(`${corpus.name} ${medium} round ${round + 1}/${run.options.rounds} ${tool.name}: ${brief(session)}`);
    }
  }
  rmSync(live, { recursive: true, force: true });
  const firstBytes = sizes[0] ?? 0;
  const laterBytes = sizes.slice(1).reduce((sum, bytes) => sum + bytes, 0);
  const { name, description } = corpus;
  return summarizeGroup({ corpus: name, description, medium, firstBytes, laterBytes, latestBytes: sizes.at(-1) ?? 0, loadAverage, sessions }, run.tools);
}

/** Each round begins with another tool, so that none always runs after the same one. */
function rotate<T>(items: readonly T[], by: number): T[] {
  const at = items.length === 0 ? 0 : by % items.length;
  return [...items.slice(at), ...items.slice(0, at)];
}

function directoryBytes(directory: string): number {
  let bytes = 0;
  for (const path of filesIn(directory)) bytes += statSync(path).size;
  return bytes;
}

function brief(session: Session): string {
  if (session.failure !== undefined) return `FAILED ${session.failure}`;
  const times = Object.entries(session.usages).map(([operation, usage]) => `${operation} ${usage.wallS.toFixed(2)}`);
  return `${times.join(' ')} content ${session.content}`;
}

function writeResults(run: Run, groups: readonly GroupResult[]): void {
  // A smoke run's figures mean nothing: they stay out of the committed results unless --out says otherwise.
  const out = run.options.out ?? (run.options.smoke ? run.options.work : join(REPOSITORY, 'bench', 'results'));
  // Runs of one day over parts of the corpora stand beside each other.
  const part = [...run.options.corpora, ...run.options.media].join('-');
  const file = join(out, `peers-${run.options.smoke ? 'smoke-' : ''}${run.facts.startedAt.slice(0, 10)}-${part}`);
  mkdirSync(dirname(file), { recursive: true });
  const plain = groups.map((group) => ({ ...group, sessions: group.sessions.map(plainSession) }));
  const json = JSON.stringify({ facts: run.facts, groups: plain }, undefined, 1);
  writeFileSync(`${file}.json`, `${nameDirectories(json, run.paths)}\n`);
  writeFileSync(`${file}.md`, nameDirectories(renderReport(run.facts, groups, run.asked), run.paths));
  say(`wrote ${file}.md and .json`);
}

function plainSession(session: Session): object {
  const commands = Object.entries(session.commands).map(([operation, list]) => [operation, list.map(commandLine)]);
  return { ...session, commands: Object.fromEntries(commands) };
}

function say(text: string): void {
  process.stderr.write(`${new Date().toISOString().slice(11, 19)} ${text}\n`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof HoldfastError)) throw error;
  process.stderr.write(`bench:peers: ${error.message}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
