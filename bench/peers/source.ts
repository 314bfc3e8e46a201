/** The directory that every tool backs up: its state before each operation is the same for all of them. */
import { copyFileSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from './measure.ts';

/**
 * Written after everything else. borg does not remember the files with the newest timestamp of a backup, and bup distrusts
 * those as new as its index: without a newer file beside it a single-file source would never get their metadata shortcut.
 */
const MARKER = 'newest.txt';
/** Longer than the granularity of file times in Linux (one tick, 1-10 ms). */
const TIME_STEP_MS = 30;

/** One version in place: where it is and how big. */
export interface Source {
  readonly directory: string;
  readonly bytes: number;
  readonly files: number;
}

/**
 * Puts a version in place. A corpus with one version is used where it lies; a series is copied over the previous state
 * at one fixed path, file by file, as a program that writes its image or dump again would.
 */
export async function placeVersion(versions: readonly string[], version: number, live: string): Promise<string> {
  const from = versions[version] ?? '';
  if (versions.length === 1) {
    await markNewest(from);
    return from;
  }
  mkdirSync(live, { recursive: true });
  if (version === 0) for (const name of readdirSync(live)) rmSync(join(live, name));
  for (const name of readdirSync(from)) copyFileSync(join(from, name), join(live, name));
  await markNewest(live);
  return live;
}

/** Gives every file a new modification time and the same content. */
export async function touchAll(directory: string): Promise<void> {
  const now = new Date();
  for (const path of filesIn(directory)) utimesSync(path, now, now);
  await markNewest(directory);
}

/** Reads every file once, so that the page cache holds the source, and flushes what earlier commands left dirty. */
export async function settle(directory: string): Promise<void> {
  const env = { PATH: process.env['PATH'] ?? '' };
  await run([
    { argv: ['sync'], env },
    { argv: ['bash', '-c', 'find "$1" -type f -print0 | xargs -0 cat >/dev/null', 'bash', directory], env },
  ]);
}

/** Paths of all regular files below a directory, in no particular order. */
export function* filesIn(directory: string): Generator<string> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* filesIn(path);
    else if (entry.isFile()) yield path;
  }
}

async function markNewest(directory: string): Promise<void> {
  await sleep(TIME_STEP_MS);
  writeFileSync(join(directory, MARKER), 'the newest file of this directory\n');
  await sleep(TIME_STEP_MS);
}
