/** One tool, one corpus, one medium, one round: from an empty repository to a compared restore. */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { HoldfastError } from '../../src/core/index.ts';
import { restoredRoot, storedBytes, treeDigest } from './compare.ts';
import { measure, run } from './measure.ts';
import type { Command, Usage } from './measure.ts';
import { placeVersion, settle, touchAll } from './source.ts';
import type { Place, Tool } from './tools/tool.ts';

/** What is timed. `later` is the sum over versions 1 … of a series. */
export const OPERATIONS = ['first', 'later', 'unchanged', 'touched', 'restore', 'restoreVerified'] as const;
/** One of {@link OPERATIONS}. */
export type Operation = (typeof OPERATIONS)[number];

/** Whether the restored tree equals the source; `unchecked` when nothing was restored. */
export type Content = 'same' | 'differs' | 'unchecked';

/** All figures of one session. A missing operation was not applicable, or came after the failure. */
export interface Session {
  readonly tool: string;
  readonly round: number;
  readonly usages: Partial<Record<Operation, Usage>>;
  /** After the last version, before the unchanged and touched backups. */
  readonly storedBytes?: number;
  readonly content: Content;
  /** Message of the failure that ended the session early. */
  readonly failure?: string;
  /** Command lines as run, by operation. */
  readonly commands: Partial<Record<Operation, readonly Command[]>>;
}

/** What a session works on. */
export interface Setting {
  readonly tool: Tool;
  readonly round: number;
  /** Version directories, oldest first. */
  readonly versions: readonly string[];
  /** Path at which a series is put in place. */
  readonly live: string;
  /** Directory on the medium under test; emptied before and after. */
  readonly base: string;
  /** Digest of the newest version, with its marker file. */
  readonly digest: string;
}

interface Progress {
  readonly setting: Setting;
  readonly place: Place;
  readonly usages: Partial<Record<Operation, Usage>>;
  readonly commands: Partial<Record<Operation, readonly Command[]>>;
  source: string;
  stored?: number;
  content: Content;
}

/** Runs it all. A failing command ends the session and is reported in it; other errors are thrown. */
export async function runSession(setting: Setting): Promise<Session> {
  const { base, tool, round } = setting;
  rmSync(base, { recursive: true, force: true });
  const place = { repo: join(base, 'repo'), cache: join(base, 'cache') };
  mkdirSync(place.cache, { recursive: true });
  const progress: Progress = { setting, place, usages: {}, commands: {}, source: '', content: 'unchecked' };
  let failure: string | undefined;
  try {
    await backUp(progress);
    await restore(progress, 'restore');
    await restore(progress, 'restoreVerified');
  } catch (error) {
    if (!(error instanceof HoldfastError)) throw error;
    failure = error.message;
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
  const { usages, commands, stored, content } = progress;
  return {
    tool: tool.name,
    round,
    usages,
    commands,
    content,
    ...(stored === undefined ? {} : { storedBytes: stored }),
    ...(failure === undefined ? {} : { failure }),
  };
}

async function backUp(progress: Progress): Promise<void> {
  const { tool, versions, live } = progress.setting;
  await run(tool.init(progress.place));
  let sequence = 0;
  for (const version of versions.keys()) {
    progress.source = await placeVersion(versions, version, live);
    await timedBackup(progress, version === 0 ? 'first' : 'later', sequence++);
  }
  if (tool.class === 'limit') return;
  progress.stored = storedBytes(progress.place.repo);
  await timedBackup(progress, 'unchanged', sequence++);
  await touchAll(progress.source);
  await timedBackup(progress, 'touched', sequence++);
}

async function timedBackup(progress: Progress, operation: Operation, sequence: number): Promise<void> {
  await timed(progress, operation, progress.setting.tool.backup(progress.place, progress.source, sequence));
}

async function restore(progress: Progress, operation: 'restore' | 'restoreVerified'): Promise<void> {
  const { tool, base, versions, digest } = progress.setting;
  const target = join(base, 'target');
  // limit tools skip the unchanged and touched backups
  const latest = versions.length - 1 + (tool.class === 'limit' ? 0 : 2);
  const commands = tool[operation]?.(progress.place, latest, target);
  if (commands === undefined) return;
  mkdirSync(target);
  await timed(progress, operation, commands);
  const same = treeDigest(restoredRoot(target, progress.source)) === digest;
  if (progress.content !== 'differs') progress.content = same ? 'same' : 'differs';
  rmSync(target, { recursive: true });
}

async function timed(progress: Progress, operation: Operation, commands: readonly Command[]): Promise<void> {
  progress.commands[operation] ??= commands;
  await settle(progress.source);
  const usage = await measure(commands, progress.place.cache);
  const before = progress.usages[operation];
  progress.usages[operation] = before === undefined ? usage : addUsage(before, usage);
}

function addUsage(a: Usage, b: Usage): Usage {
  return { wallS: a.wallS + b.wallS, cpuS: a.cpuS + b.cpuS, peakRssBytes: Math.max(a.peakRssBytes, b.peakRssBytes), stdout: b.stdout };
}
