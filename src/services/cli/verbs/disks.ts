/** `disks`: the disk images of a job, snapshot or directory, what is on them, and which operating systems. */
import { utf8 } from '../../../core/index.ts';
import { findDisks, type DiskError, type GuestDisk } from '../../disks.ts';
import type { DiskPart } from '../../guests/disk-parts.ts';
import type { GuestOs } from '../../guests/guest-os.ts';
import { formatPathText, openLocation } from '../../locations/index.ts';
import type { CommonOptions, Context, Outcome } from '../context.ts';
import { formatBytes } from '../progress.ts';
import { alignColumns } from '../table.ts';

/** What a guest wrote, on one line and safe for a terminal. */
function shown(text: string): string {
  return formatPathText(utf8(text));
}

function shownPath({ path, pathBase64 }: { readonly path: string; readonly pathBase64?: string }): string {
  return pathBase64 === undefined ? shown(path) : formatPathText(Buffer.from(pathBase64, 'base64'));
}

function osWords({ name, version, build, hostname, mounts, tree, dirty }: GuestOs): string {
  const words = [
    ...(version === undefined || name.includes(version) ? [] : [version]), ...(build === undefined ? [] : [`build ${build}`]), ...(hostname === undefined ? [] : [`host ${hostname}`]),
    ...(mounts === undefined ? [] : [`${mounts} mounts`]), ...(tree === undefined ? [] : [`in ${tree}`]), ...(dirty === undefined ? [] : ['registry not closed in order']),
  ];
  return shown([name, ...words].join(', '));
}

/** A type GUID stands for its name where it has one; a name that the step ends in is said once. */
function typeWords({ step, type, name = '' }: DiskPart): string {
  const word = /^[0-9a-f]{8}-[0-9a-f-]{27} (.+)$/.exec(type)?.[1] ?? type;
  return shown(name === '' || step.endsWith(name) ? word : `${word} '${name}'`);
}

function partCells(part: DiskPart): readonly string[] {
  const { step, size, holds, label, uuid, missing, locked, lockedTrees = [], os, error } = part;
  const state = locked !== undefined ? 'locked' : error !== undefined ? 'unreadable' : lockedTrees.length > 0 ? `${lockedTrees.length} locked` : undefined;
  const content = [holds, missing === undefined ? undefined : `${missing} missing`, state].filter((word) => word !== undefined).join(', ');
  return [
    `  ${step === '' ? '-' : shown(step)}`, formatBytes(size), typeWords(part), content === '' ? '-' : shown(content), label === undefined ? '' : `'${shown(label)}'`, shown(uuid ?? ''), os === undefined ? '' : osWords(os),
  ];
}

function diskLines(disk: GuestDisk): readonly string[] {
  const { job, format, parts } = disk;
  return [`${job === undefined ? '' : `${job}  `}${shownPath(disk)}  ${format}  ${sizeWords(disk)}`, ...alignColumns(parts.map(partCells), [1])];
}

function sizeWords({ format, size, fileBytes, locked, members, missing }: GuestDisk): string {
  if (members !== undefined) return `set of ${members.length}${missing === undefined ? '' : `, ${missing} missing`}: ${members.map((one) => `${shownPath(one)}${one.step === '' ? '' : `::${shown(one.step)}`}`).join(', ')}`;
  const file = format === 'raw' || fileBytes === undefined ? '' : ` in ${formatBytes(fileBytes)}`;
  return `${size === undefined ? locked === true ? 'locked,' : 'unreadable,' : formatBytes(size)}${file}`;
}

function whereOf(error: DiskError): string {
  const { job, step } = error;
  return `${job === undefined ? '' : `${job}::`}${shownPath(error)}${step === undefined ? '' : `::${shown(step)}`}`;
}

/** Runs the verb. */
export async function run(context: Context, operands: readonly string[], _options: CommonOptions): Promise<Outcome> {
  const [text = ''] = operands;
  // A name of several files is an image with those that it needs; one file is looked at as it lies in its directory.
  const location = await openLocation(text, context.opening, 'inside');
  const disks: GuestDisk[] = [];
  const errors: DiskError[] = [];
  try {
    let found = 0;
    await findDisks(location, {
      disk: (disk) => {
        found += 1;
        context.progress.clear();
        if (context.json) disks.push(disk);
        else for (const line of diskLines(disk)) context.print(line);
      },
      failed: (error) => {
        errors.push(error);
        context.failures.add({ path: whereOf(error), message: shown(error.message) });
      },
      progress: (files) => { context.progress.update({ files, bytes: 0 }); },
    });
    context.progress.clear();
    if (found === 0) context.print('no disk was found: no file of at least 1 MiB is a disk image or begins with a partition table, volume or filesystem');
  } finally {
    context.failures.finish();
    await location.close();
  }
  return { exitCode: errors.length > 0 ? 3 : 0, result: { location: text, disks, errors } };
}
