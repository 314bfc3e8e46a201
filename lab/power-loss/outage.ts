/** One loss of power: the disk as it may be found afterwards, mounted, and everything that was acknowledged before read back. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { runTool } from '../bacula/tool.ts';
import { holdfast } from '../holdfast.ts';
import { filesOf } from './content.ts';
import { Replay, type LoggedWrite } from './write-log.ts';

/** What was found wrong, and how much was looked at. */
export interface OutageResult {
  readonly violations: readonly string[];
  /** Snapshots that were acknowledged and not about to be forgotten. */
  readonly snapshots: number;
}

/** Of the writes that were under way some arrive, in order, and the last of them may be torn. */
export function applyPending(log: string, image: string, pending: readonly LoggedWrite[], random: () => number): void {
  const replay = new Replay(log, image);
  const arrived = pending.filter((write) => write.isForced || random() < 0.5);
  arrived.forEach((write, i) => { replay.apply(write, i === arrived.length - 1 && !write.isForced ? Math.floor(random() * (write.length / 512 + 1)) : Infinity); });
  replay.close();
}

function differences(round: number, directory: string): readonly string[] {
  const wrong: string[] = [];
  for (const [name, bytes] of filesOf(round)) {
    const file = path.join(directory, 'tmp/data', name);
    if (!existsSync(file) || !statSync(file).isFile() || !readFileSync(file).equals(bytes)) wrong.push(name);
  }
  return wrong;
}

async function examine(mounted: string, scratch: string): Promise<OutageResult> {
  const notes = path.join(mounted, 'notes');
  const names = existsSync(notes) ? readdirSync(notes) : [];
  if (!names.includes('initialised')) return { violations: [], snapshots: 0 };
  const violations: string[] = [];
  const repository = path.join(mounted, 'repository');
  const check = await holdfast(['check', repository, '--read-data', '--json']);
  if (check.status !== 0) violations.push(`check ended with ${check.status}: ${check.stdout.slice(0, 400)}${check.stderr.slice(0, 400)}`);
  const acknowledged = names.filter((name) => name.startsWith('acked-')).map((name) => name.slice('acked-'.length)).filter((id) => !names.includes(`forgetting-${id}`));
  for (const id of acknowledged) {
    const target = path.join(scratch, 'restored');
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target);
    const restored = await holdfast(['restore', `${repository}::${id}`, target, '--json']);
    const round = Number(readFileSync(path.join(notes, `acked-${id}`), 'utf8'));
    const wrong = restored.status === 0 ? differences(round, target) : ['everything'];
    if (wrong.length > 0) violations.push(`snapshot ${id.slice(0, 12)} of round ${round}: restore ended with ${restored.status}, wrong: ${wrong.slice(0, 3).join(', ')} ${restored.stderr.slice(0, 300)}`);
  }
  const after = await holdfast(['backup', path.join(scratch, 'restored'), '--repo', repository, '--json']);
  if (acknowledged.length > 0 && after.status !== 0) violations.push(`the next backup ended with ${after.status}: ${after.stderr.slice(0, 400)}`);
  return { violations, snapshots: acknowledged.length };
}

/** Looks at a disk image after an outage; the image is changed by it. @throws {ToolError} it cannot be mounted: that is the filesystem's failure, not ours. */
export async function lookAfterOutage(image: string, scratch: string): Promise<OutageResult> {
  const mounted = path.join(scratch, 'mounted');
  mkdirSync(mounted, { recursive: true });
  await runTool(['mount', '-o', 'loop', image, mounted]);
  try {
    return await examine(mounted, scratch);
  } finally {
    await runTool(['umount', mounted]);
  }
}

/** The image at `flushed` with a random part of what was under way, in a copy. */
export function imageOf(flushed: string, copy: string): void {
  rmSync(copy, { force: true });
  copyFileSync(flushed, copy);
}
