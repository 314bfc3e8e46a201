/** What a disk holds that no table divides: a filesystem with its operating system, or marks of what is recognised and not opened. */
import type { BlockSource, TreeProblem } from '../../core/index.ts';
import { foreignContent } from '../locations/foreign-content.ts';
import { openTree } from '../locations/guest-layer.ts';
import type { OpenOptions } from '../locations/place.ts';
import { filesystemOn } from '../locations/probes.ts';
import type { Disks } from '../locations/tables.ts';
import type { DiskPart } from './disk-parts.ts';
import { findOs } from './guest-os.ts';

/** What a filesystem or mark adds to what its table says. */
export type Content = Pick<DiskPart, 'holds' | 'label' | 'uuid' | 'locked' | 'lockedTrees' | 'os'>;

/** Takes what is wrong with it; `what` is a path or tree in it. */
export interface ContentVisitor {
  failed(what: string, error: unknown): void;
  problem(problem: TreeProblem): void;
}

/** What the marks on a disk say, without opening anything. */
export async function contentMark(source: BlockSource, visitor: ContentVisitor): Promise<Content> {
  const found = await filesystemOn(source);
  if (found === undefined) return await foreignContent(source) ?? {};
  if (found.verdict.match === 'yes') return { holds: found.verdict.version };
  visitor.problem({ kind: 'damaged-filesystem', where: 'superblock', message: found.verdict.reason });
  return { holds: found.name };
}

/** Opens the filesystem on a disk, or on the devices that it has, and looks for an operating system. @throws as `openFilesystem`. */
export async function contentOf(disks: Disks, name: string, options: OpenOptions, visitor: ContentVisitor): Promise<Content> {
  if (await filesystemOn(disks[0]) === undefined) return await foreignContent(disks[0]) ?? {};
  const arrival = await openTree({ disks, name }, options);
  try {
    const filesystem = arrival.place.kind === 'node' ? arrival.place.filesystem : undefined;
    if (filesystem === undefined) return {};
    const { version, label, uuid } = filesystem.facts;
    const lockedTrees: string[] = [];
    const os = await findOs(filesystem, { failed: (what, error) => { visitor.failed(what, error); }, locked: (tree) => lockedTrees.push(tree) });
    for (const problem of filesystem.problems()) visitor.problem(problem);
    return { holds: version, ...(label === undefined || label === '' ? {} : { label }), ...(uuid === undefined ? {} : { uuid }), ...(os === undefined ? {} : { os }), ...(lockedTrees.length === 0 ? {} : { lockedTrees }) };
  } finally {
    await arrival.owned?.close();
  }
}
