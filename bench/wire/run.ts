/**
 * Entry of `npm run bench:wire [-- --rounds=N SOURCE… | --quick]`: a backup over loopback against the same into a local repository, in turns, and the bytes
 * on the socket of first and unchanged second backups. Writes `bench/results/wire.md` and `.json`; `--quick` writes nothing.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import * as path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { renderWire, type WireReport, type WireRound } from './report.ts';
import type { BackupFigures } from './role.ts';

const ROLE = fileURLToPath(new URL('./role.js', import.meta.url));
const RESULTS = new URL('../../../bench/results/', import.meta.url);
const SOURCES: readonly string[] = ['/usr/share', '/usr/lib/x86_64-linux-gnu'];
const ROUNDS = 3;
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

async function backup(...words: readonly string[]): Promise<BackupFigures> {
  return JSON.parse(await lastLine(spawn(process.execPath, [ROLE, ...words], { stdio: ['ignore', 'pipe', 'inherit'] }))) as BackupFigures;
}

/** Runs `use` with a daemon over a new repository, and a function that gives the processor seconds that it took so far. */
async function withDaemon<T>(directory: string, use: (port: string, cpuSeconds: () => Promise<number>) => Promise<T>): Promise<{ readonly result: T; readonly residentBytesMax: number }> {
  const child = spawn(process.execPath, [ROLE, 'daemon', directory], { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = lastLine(child);
  const lines = createInterface({ input: child.stdout });
  const line = async (): Promise<string> => (await once(lines, 'line') as [string])[0];
  try {
    const result = await use(await line(), async () => {
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

async function round(work: string, source: string): Promise<WireRound> {
  const directories = [path.join(work, 'local'), path.join(work, 'remote'), path.join(work, 'cache')] as const;
  try {
    mkdirSync(directories[0]);
    const local = await backup('local', directories[0], source, 'none');
    mkdirSync(directories[1]);
    const { result, residentBytesMax } = await withDaemon(directories[1], async (port, cpuSeconds) => {
      await backup('remote', port, isQuick ? SMALL : WARMING, 'none');
      const before = await cpuSeconds();
      const first = await backup('remote', port, source, 'none', directories[2]);
      return {
        first, cpuSeconds: await cpuSeconds() - before,
        again: await backup('remote', port, source, 'auto', directories[2]),
        fetched: await backup('remote', port, source, 'auto'),
        exchanged: await backup('remote', port, source, 'none'),
      };
    });
    const { cpuSeconds, ...measured } = result;
    return { local, ...measured, daemon: { cpuSeconds, residentBytesMax } };
  } finally {
    for (const directory of directories) rmSync(directory, { recursive: true, force: true });
  }
}

/** Measures one source. */
async function measure(work: string, source: string, count: number): Promise<readonly WireRound[]> {
  const rounds: WireRound[] = [];
  for (let i = 0; i < count; i += 1) {
    const found = await round(work, source);
    rounds.push(found);
    const { local, first } = found;
    console.log(`${source}: local ${local.seconds.toFixed(2)} s, over loopback ${first.seconds.toFixed(2)} s`);
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
