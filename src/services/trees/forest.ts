/** Trees under names of their own, opened only when somebody looks inside: the jobs of volumes, the snapshots of a repository. */
import { utf8, type FileTree, type NodeStat } from '../../core/index.ts';
import { unionTree } from './union-tree.ts';

/** One tree of a forest; `timeMs` is what its directory shows as modification time. */
export interface ForestMember {
  readonly name: string;
  readonly timeMs: number;
  /** Called at most once; the forest closes what it returns. */
  open(): Promise<FileTree>;
}

/** Shows each member as a directory of the root. */
export function forest(members: readonly ForestMember[]): Promise<FileTree> {
  return unionTree(members.map((member) => {
    const stat: NodeStat = {
      type: 'directory',
      size: 0,
      mode: 0o555,
      uid: 0,
      gid: 0,
      modified: { seconds: Math.floor(member.timeMs / 1_000), nanoseconds: Math.round((((member.timeMs % 1_000) + 1_000) % 1_000) * 1e6) },
      links: 1,
    };
    return {
      at: utf8(member.name),
      stat,
      open: async () => {
        const tree = await member.open();
        return { tree, id: tree.rootId, close: () => tree.close() };
      },
    };
  }));
}
