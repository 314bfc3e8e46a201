/**
 * NFS version 3 over a tree that never changes. Source: RFC 1813, section 3.3.
 *
 * Known limits: no locks (mount with `nolock`), no extended attributes (the protocol has none); names of more than 255 bytes cannot be looked up by
 * Linux clients; permission is checked by what AUTH_SYS claims, so whoever reaches the port may claim to be root: listen where only friends are.
 */
import { HoldfastError, NotFoundError, ProtocolError, type NodeId, type NodeStat } from '../../core/index.ts';
import { attributes, grantedAccess, optionalAttributes } from './attributes.ts';
import { NFS, accessBits, procedure, properties, status } from './nfs.layout.ts';
import type { Caller, Procedure, Program } from './rpc.ts';
import type { ServedTree } from './served-tree.ts';
import type { XdrReader, XdrWriter } from './xdr.ts';

/** Bytes of one READ: with the calls of all connections, what clients that do not read their answers can make us hold. */
const READ_BYTES_MAX = 256 << 10;
/** Bytes of one READDIR: what a client may ask for is bounded by it. */
const LISTING_BYTES_MAX = 256 << 10;
/** Bytes of one WRITE, all of which are refused: clients mount no server that takes less. */
const WRITE_BYTES_MAX = 64 << 10;
const HANDLE_BYTES_MAX = 64;
const NAME_BYTES_MAX = 255;
const COOKIE_VERIFIER = new Uint8Array(8);

class Refusal extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`NFS status ${code}`);
    this.code = code;
  }
}

interface Node {
  readonly id: NodeId;
  readonly stat: NodeStat;
}

/** Refuses what the permissions of a node do not grant at all. */
function checkAccess(stat: NodeStat, caller: Caller, bits: number): void {
  if (grantedAccess(stat, caller, bits) === 0) throw new Refusal(status.access);
}

/** The status for an error of the tree. */
function statusOf(error: unknown): number {
  if (error instanceof Refusal) return error.code;
  if (error instanceof NotFoundError) return status.stale;
  return status.inputOutput;
}

/** The procedures over one tree. `onProblem` hears of content that could not be read. */
export function nfsProgram(served: ServedTree, onProblem: (error: unknown) => void): Program {
  return new NfsServer(served, onProblem).program;
}

class NfsServer {
  readonly #served: ServedTree;
  readonly #onProblem: (error: unknown) => void;

  constructor(served: ServedTree, onProblem: (error: unknown) => void) {
    this.#served = served;
    this.#onProblem = onProblem;
  }

  get program(): Program {
    // A refused change tells no attributes from before and after: one pair of flags; RENAME has two pairs, LINK one flag and a pair.
    const refused = (flags: number): Procedure => (_, results) => {
      results.u32(status.readOnly);
      for (let i = 0; i < flags; i += 1) results.u32(0);
    };
    const wcc = refused(2);
    return {
      program: NFS,
      version: 3,
      procedures: {
        [procedure.null]: () => undefined,
        [procedure.getattr]: (args, results) => this.#answer(results, 'nothing', async () => {
          const { id, stat } = await this.#node(args);
          results.u32(status.ok);
          attributes(results, id, stat);
        }),
        [procedure.lookup]: (args, results, caller) => this.#lookup(args, results, caller),
        [procedure.access]: (args, results, caller) => this.#access(args, results, caller),
        [procedure.readlink]: (args, results) => this.#readLink(args, results),
        [procedure.read]: (args, results, caller) => this.#read(args, results, caller),
        [procedure.readdir]: (args, results, caller) => this.#list({ args, results, caller }, false),
        [procedure.readdirplus]: (args, results, caller) => this.#list({ args, results, caller }, true),
        [procedure.fsstat]: (args, results) => this.#answer(results, 'attributes', async () => {
          const node = await this.#node(args);
          results.u32(status.ok);
          optionalAttributes(results, node);
          for (let i = 0; i < 6; i += 1) results.u64(0);
          results.u32(0xffff_ffff); // seconds for which this does not change
        }),
        [procedure.fsinfo]: (args, results) => this.#answer(results, 'attributes', async () => {
          const node = await this.#node(args);
          results.u32(status.ok);
          optionalAttributes(results, node);
          results.u32(READ_BYTES_MAX).u32(READ_BYTES_MAX).u32(4096).u32(WRITE_BYTES_MAX).u32(WRITE_BYTES_MAX).u32(4096).u32(LISTING_BYTES_MAX).u64(Number.MAX_SAFE_INTEGER).u32(0).u32(1)
            .u32(properties.link | properties.symlink | properties.homogeneous);
        }),
        [procedure.pathconf]: (args, results) => this.#answer(results, 'attributes', async () => {
          const node = await this.#node(args);
          results.u32(status.ok);
          optionalAttributes(results, node);
          results.u32(0xffff).u32(NAME_BYTES_MAX).bool(true).bool(true).bool(false).bool(true);
        }),
        [procedure.setattr]: wcc, [procedure.write]: wcc, [procedure.create]: wcc, [procedure.mkdir]: wcc, [procedure.symlink]: wcc, [procedure.mknod]: wcc, [procedure.remove]: wcc,
        [procedure.rmdir]: wcc, [procedure.commit]: wcc, [procedure.rename]: refused(4), [procedure.link]: refused(3),
      },
    };
  }

  /** The node of a handle. */
  async #node(args: XdrReader): Promise<Node> {
    const id = this.#served.nodeOf(args.opaque(HANDLE_BYTES_MAX));
    if (id === undefined) throw new Refusal(status.stale);
    return { id, stat: await this.#served.tree.stat(id) };
  }

  async #directory(args: XdrReader): Promise<Node> {
    const node = await this.#node(args);
    if (node.stat.type !== 'directory') throw new Refusal(status.notDirectory);
    return node;
  }

  /** Runs a procedure; a failure becomes its status, and for most the attributes that a failure may carry, which it does not. */
  async #answer(results: XdrWriter, failure: 'nothing' | 'attributes', run: () => Promise<void>): Promise<void> {
    const start = results.length;
    try {
      await run();
    } catch (error) {
      // Arguments that cannot be decoded are RPC's affair.
      if (error instanceof ProtocolError || !(error instanceof Refusal || error instanceof HoldfastError)) throw error;
      const code = statusOf(error);
      if (code === status.inputOutput) this.#onProblem(error);
      results.cut(start);
      results.u32(code);
      if (failure === 'attributes') results.u32(0);
    }
  }

  #lookup(args: XdrReader, results: XdrWriter, caller: Caller): Promise<void> {
    return this.#answer(results, 'attributes', async () => {
      const directory = await this.#directory(args);
      checkAccess(directory.stat, caller, accessBits.lookup);
      const name = args.opaque(4_096);
      if (name.length > NAME_BYTES_MAX) throw new Refusal(status.nameTooLong);
      const id = await this.#served.lookup(directory.id, name);
      if (id === undefined) throw new Refusal(status.noEntry);
      const stat = await this.#served.tree.stat(id);
      results.u32(status.ok).opaque(this.#served.handleOf(id));
      optionalAttributes(results, { id, stat });
      optionalAttributes(results, directory);
    });
  }

  #access(args: XdrReader, results: XdrWriter, caller: Caller): Promise<void> {
    return this.#answer(results, 'attributes', async () => {
      const node = await this.#node(args);
      const asked = args.u32();
      results.u32(status.ok);
      optionalAttributes(results, node);
      results.u32(grantedAccess(node.stat, caller, asked));
    });
  }

  #readLink(args: XdrReader, results: XdrWriter): Promise<void> {
    return this.#answer(results, 'attributes', async () => {
      const node = await this.#node(args);
      if (node.stat.type !== 'symlink') throw new Refusal(status.invalid);
      const target = await this.#served.tree.readLink(node.id);
      results.u32(status.ok);
      optionalAttributes(results, node);
      results.opaque(target);
    });
  }

  #read(args: XdrReader, results: XdrWriter, caller: Caller): Promise<void> {
    return this.#answer(results, 'attributes', async () => {
      const node = await this.#node(args);
      const [offset = Number.MAX_SAFE_INTEGER, count] = [args.u64(), args.u32()];
      if (node.stat.type === 'directory') throw new Refusal(status.isDirectory);
      if (node.stat.type !== 'file') throw new Refusal(status.invalid);
      // Who may execute a file may read it: its client has to, to run it.
      checkAccess(node.stat, caller, accessBits.read | accessBits.execute);
      await this.#served.withFile(node.id, async (source) => {
        const length = Math.max(0, Math.min(count, READ_BYTES_MAX, source.size - offset));
        results.u32(status.ok);
        optionalAttributes(results, node);
        results.u32(length).bool(offset + length >= source.size).u32(length);
        if (length > 0) await source.readInto(offset, results.reserve(length), { sequential: true });
      });
    });
  }

  /** READDIR and READDIRPLUS: cookies are numbers of entries, 1 for what follows `.`, 2 for what follows `..`. */
  #list({ args, results, caller }: { readonly args: XdrReader; readonly results: XdrWriter; readonly caller: Caller }, isPlus: boolean): Promise<void> {
    return this.#answer(results, 'attributes', async () => {
      const directory = await this.#directory(args);
      const cookie = args.u64();
      args.fixed(8); // what we gave as verifier: a tree that never changes needs none
      const namesMax = args.u32();
      const bytesMax = Math.min(LISTING_BYTES_MAX, isPlus ? args.u32() : namesMax);
      if (cookie === undefined) throw new Refusal(status.badCookie);
      checkAccess(directory.stat, caller, accessBits.read);
      results.u32(status.ok);
      optionalAttributes(results, directory);
      results.fixed(COOKIE_VERIFIER);
      const start = results.length;
      // Two words end the list.
      const hasRoom = (): boolean => results.length - start + 8 <= bytesMax;
      const add = (name: Uint8Array, node: { readonly id: NodeId; readonly stat: NodeStat | undefined }, next: number): boolean => {
        const before = results.length;
        results.u32(1).u64(node.id).opaque(name).u64(next);
        if (isPlus) {
          optionalAttributes(results, node.stat === undefined ? undefined : { id: node.id, stat: node.stat });
          results.u32(1).opaque(this.#served.handleOf(node.id));
        }
        if (hasRoom()) return true;
        results.cut(before);
        return false;
      };
      let isFull = cookie < 1 && !add(Uint8Array.of(0x2e), directory, 1);
      isFull ||= cookie < 2 && !add(Uint8Array.of(0x2e, 0x2e), await this.#parent(directory), 2);
      const isEnd = !isFull && await this.#served.list(directory.id, Math.max(0, cookie - 2), (entry, stat, index) => add(entry.name, { id: entry.id, stat }, index + 3));
      if (!isEnd && results.length === start) throw new Refusal(status.tooSmall);
      results.u32(0).bool(isEnd);
    });
  }

  async #parent(directory: Node): Promise<Node> {
    const id = await this.#served.lookup(directory.id, Uint8Array.of(0x2e, 0x2e));
    return id === undefined || id === directory.id ? directory : { id, stat: await this.#served.tree.stat(id) };
  }
}
