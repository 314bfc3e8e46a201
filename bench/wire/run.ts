/**
 * Entry of `npm run bench:wire [-- --rounds=N SOURCE… | --quick]`: a backup over loopback against the same into a local repository, in turns, and the bytes
 * on the socket of first and unchanged second backups. Writes `bench/results/wire.md` and `.json`; `--quick` writes nothing.
 */
import { spawn, type ChildProcess, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import * as path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { renderWire, type WireReport, type WireRound } from './report.ts';
import type { BackupFigures } from './role.ts';

const ROLE = fileURLToPath(new URL('./role.js', import.meta.url));
const RESULTS = new URL('../../../bench/results/', import.meta.url);
const SOURCES: readonly string[] = ['/usr/share', '/usr/lib/x86_64-linux-gnu'];
const ROUNDS = 4;
/** What a quick run backs up: this benchmark and its neighbours. */
const SMALL = path.dirname(path.dirname(ROLE));
/** What warms a daemon, unless it is measured quickly: a few hundred megabytes that every checkout has. */
const WARMING = fileURLToPath(new URL('../../../node_modules', import.meta.url));

async function lastLine(child: ChildProcess): Promise<string> {
  let last = '';
  child.stdout?.on('data', (piece: Buffer) => { last += piece.toString(); });
  const [code] = await once(child, 'close') as [number | null];
  if (code !== 0) throw new Error(`A process of the benchmark ended with '${String(code)}'`);
  return last.trim().split('\n').at(-1) ?? '';
}

/** A process of the benchmark, on one core where `core` says which. */
function start(core: number | undefined, words: readonly string[], input: 'ignore' | 'pipe'): ChildProcess {
  const [command = '', ...rest] = [...(core === undefined ? [] : ['taskset', '--cpu-list', String(core)]), process.execPath, ROLE, ...words];
  return spawn(command, rest, { stdio: [input, 'pipe', 'inherit'] });
}

async function backup(words: readonly string[], core?: number): Promise<BackupFigures> {
  return JSON.parse(await lastLine(start(core, words, 'ignore'))) as BackupFigures;
}

/** Runs `use` with a daemon over a new repository, warmed by one backup, and a function that gives the processor seconds that it took so far. */
async function withDaemon<T>(place: { readonly directory: string; readonly core?: number }, use: (port: string, cpuSeconds: () => Promise<number>) => Promise<T>): Promise<{ readonly result: T; readonly residentBytesMax: number }> {
  mkdirSync(place.directory);
  const child = start(place.core, ['daemon', place.directory], 'pipe') as ChildProcessByStdio<Writable, Readable, null>;
  const ended = lastLine(child);
  const lines = createInterface({ input: child.stdout });
  const line = async (): Promise<string> => (await once(lines, 'line') as [string])[0];
  try {
    const port = await line();
    await backup(['remote', port, isQuick ? SMALL : WARMING, 'none']);
    const result = await use(port, async () => {
      child.stdin.write('\n');
      return Number(await line());
    });
    child.stdin.end();
    return { result, residentBytesMax: Number(await ended) };
  } catch (error) {
    child.kill();
    throw error;
  }
}

/** The backups of a round over loopback, the first of them beside `local`. */
async function overLoopback(directory: string, source: string, cache: string): Promise<Omit<WireRound, 'local' | 'apart'>> {
  const { result, residentBytesMax } = await withDaemon({ directory }, async (port, cpuSeconds) => {
    const before = await cpuSeconds();
    const first = await backup(['remote', port, source, 'none', cache]);
    return {
      first, cpuSeconds: await cpuSeconds() - before,
      again: await backup(['remote', port, source, 'auto', cache]),
      fetched: await backup(['remote', port, source, 'auto']),
      exchanged: await backup(['remote', port, source, 'none']),
    };
  });
  const { cpuSeconds, ...measured } = result;
  return { ...measured, daemon: { cpuSeconds, residentBytesMax } };
}

/** As on two machines: the backup has one core, the daemon another one. */
async function apart(directory: string, source: string): Promise<WireRound['apart']> {
  const { result } = await withDaemon({ directory, core: cpus().length - 1 }, (port) => backup(['remote', port, source, 'none'], 0));
  return { local: await alone(`${directory}-local`, source, 0), first: result };
}

async function alone(directory: string, source: string, core?: number): Promise<BackupFigures> {
  mkdirSync(directory);
  return backup(['local', directory, source, 'none'], core);
}

/** In odd rounds the other way comes first: who comes first finds other memory free, and other pages in the cache. */
async function round(work: string, source: string, isOdd: boolean): Promise<WireRound> {
  const directory = path.join(work, 'round');
  mkdirSync(directory);
  try {
    const before = isOdd ? undefined : await alone(path.join(directory, 'local'), source);
    const remote = await overLoopback(path.join(directory, 'remote'), source, path.join(directory, 'cache'));
    const local = before ?? await alone(path.join(directory, 'local'), source);
    return { local, ...remote, apart: await apart(path.join(directory, 'apart'), source) };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Measures one source. */
async function measure(work: string, source: string, count: number): Promise<readonly WireRound[]> {
  const rounds: WireRound[] = [];
  for (let i = 0; i < count; i += 1) {
    const found = await round(work, source, i % 2 === 1);
    rounds.push(found);
    const { local, first, apart: { local: alone, first: beside } } = found;
    console.log(`${source}: local ${local.seconds.toFixed(2)} s, over loopback ${first.seconds.toFixed(2)} s; a core each: ${alone.seconds.toFixed(2)} s, ${beside.seconds.toFixed(2)} s`);
  }
  return rounds;
}

const isQuick = process.argv.includes('--quick');
const count = Number(/^--rounds=(\d+)$/.exec(process.argv.find((word) => word.startsWith('--rounds=')) ?? '')?.[1] ?? (isQuick ? 1 : ROUNDS));
const given = process.argv.slice(2).filter((word) => !word.startsWith('--'));
const work = mkdtempSync(path.join(process.env['TMPDIR'] ?? tmpdir(), 'holdfast-bench-wire-'));
const sources: { readonly source: string; readonly rounds: readonly WireRound[] }[] = [];
try {
  for (const source of given.length > 0 ? given : isQuick ? [SMALL] : SOURCES) sources.push({ source, rounds: await measure(work, source, count) });
} finally {
  rmSync(work, { recursive: true, force: true });
}
const machine = { cpu: cpus()[0]?.model.trim() ?? 'unknown', cores: cpus().length, node: process.version, loadAverage: loadavg() };
const report: WireReport = { machine, sources };
console.log(`\n${renderWire(report)}`);
if (!isQuick) {
  writeFileSync(new URL('wire.json', RESULTS), `${JSON.stringify(report, undefined, 1)}\n`);
  writeFileSync(new URL('wire.md', RESULTS), renderWire(report));
}
