/** The disk as one process of a machine sees it: every operation is a point, and directories must exist, as on a real disk. */
import type { Disk, DiskEntry, DiskFile, DiskLock } from '../../src/core/index.ts';
import type { PointKind } from './faults.ts';
import type { Machine, SimulatedProcess, Verdict } from './machine.ts';

function parentOf(path: string): string {
  return path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '';
}

/** See the file's header. */
export class ProcessDisk implements Disk {
  readonly #machine: Machine;
  readonly #process: SimulatedProcess;

  constructor(machine: Machine, process: SimulatedProcess) {
    this.#machine = machine;
    this.#process = process;
  }

  async open(path: string, _mode: 'read' | 'write'): Promise<DiskFile> {
    await this.#meet('open', path);
    return new ProcessFile(this.#machine, this.#process, { path, file: await this.#machine.disk.open(path) });
  }

  async create(path: string): Promise<DiskFile> {
    await this.#meet('create', path);
    await this.#needDirectory(parentOf(path));
    return new ProcessFile(this.#machine, this.#process, { path, file: await this.#machine.disk.create(path) });
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#meet('rename', to);
    await this.#needDirectory(parentOf(to));
    await this.#machine.disk.rename(from, to);
  }

  async link(from: string, to: string): Promise<void> {
    await this.#meet('link', to);
    await this.#needDirectory(parentOf(to));
    await this.#machine.disk.link(from, to);
  }

  async remove(path: string): Promise<void> {
    await this.#meet('remove', path);
    if (await this.#machine.disk.exists(path)) await this.#machine.disk.remove(path);
  }

  /** One step for each name, children first: a crash leaves part of it. */
  async removeTree(path: string): Promise<void> {
    if (!(await this.#machine.disk.exists(path))) return;
    for (const entry of await this.#machine.disk.list(path)) {
      if (entry.directory) await this.removeTree(`${path}/${entry.name}`);
      else await this.remove(`${path}/${entry.name}`);
    }
    await this.remove(path);
  }

  async makeDirectory(path: string): Promise<void> {
    if (path === '' || await this.#machine.disk.exists(path)) return;
    await this.makeDirectory(parentOf(path));
    await this.#meet('makeDirectory', path);
    await this.#machine.disk.makeDirectory(path);
  }

  async list(path: string): Promise<readonly DiskEntry[]> {
    await this.#meet('list', path);
    return this.#machine.disk.list(path);
  }

  async exists(path: string): Promise<boolean> {
    return this.#machine.disk.exists(path);
  }

  async syncDirectory(path: string): Promise<void> {
    const verdict = await this.#meet('syncDirectory', path);
    await this.#needDirectory(path);
    if (verdict !== 'lie') await this.#machine.disk.syncDirectory(path);
  }

  nativePath(): undefined {
    return undefined;
  }

  /** A directory with a file that says who; the kernel's part of it ends with the process, the file stays. */
  async lock(path: string, description: string): Promise<DiskLock> {
    await this.#meet('lock', path);
    const holder = this.#machine.holderOf(path);
    if (holder !== undefined) throw new this.#machine.engine.core.BusyError(`Take lock '${path}': held by ${holder.name} (${description})`);
    this.#machine.setHolder(path, this.#process);
    const file = `${path}/holder.json`;
    if (!(await this.#machine.disk.exists(file))) {
      await this.#machine.disk.makeDirectory(path);
      await this.#machine.disk.create(file);
    }
    return {
      isHeld: async () => this.#machine.holderOf(path) === this.#process,
      release: async () => {
        if (this.#machine.holderOf(path) !== this.#process) return;
        this.#machine.setHolder(path, undefined);
        await this.#machine.disk.remove(file);
      },
    };
  }

  /** @throws what the fault says. */
  async #meet(kind: PointKind, path: string): Promise<'done' | 'lie'> {
    return unlessError(await this.#process.meet(kind, path));
  }

  async #needDirectory(path: string): Promise<void> {
    if (path !== '' && !(await this.#machine.disk.exists(path))) {
      throw new this.#machine.engine.core.ToolError(`Use directory '${path}': ENOENT`, { errno: 'ENOENT' });
    }
  }
}

function unlessError(verdict: Verdict): 'done' | 'lie' {
  if (verdict instanceof Error) throw verdict;
  return verdict;
}

class ProcessFile implements DiskFile {
  readonly #machine: Machine;
  readonly #process: SimulatedProcess;
  readonly #path: string;
  readonly #file: DiskFile;

  constructor(machine: Machine, process: SimulatedProcess, of: { readonly path: string; readonly file: DiskFile }) {
    this.#machine = machine;
    this.#process = process;
    this.#path = of.path;
    this.#file = of.file;
  }

  get size(): number {
    return this.#file.size;
  }

  async readInto(offset: number, target: Uint8Array): Promise<void> {
    unlessError(await this.#process.meet('read', this.#path));
    await this.#file.readInto(offset, target);
  }

  /** One that fails may have written its beginning. */
  async writeFrom(offset: number, ...parts: readonly Uint8Array[]): Promise<void> {
    const verdict = await this.#process.meet('write', this.#path);
    if (verdict instanceof Error) {
      const bytes = Buffer.concat(parts);
      await this.#file.writeFrom(offset, new Uint8Array(bytes.subarray(0, bytes.length >> 1)));
      throw verdict;
    }
    await this.#file.writeFrom(offset, ...parts);
  }

  async truncate(size: number): Promise<void> {
    unlessError(await this.#process.meet('truncate', this.#path));
    await this.#file.truncate(size);
  }

  async sync(): Promise<void> {
    const verdict = await this.#process.meet('sync', this.#path);
    if (verdict === 'lie') return;
    if (verdict === 'done') return this.#file.sync();
    const { disk } = this.#machine;
    const before = disk.fault;
    disk.fault = () => verdict; // the disk forgets what it was to write
    try {
      await this.#file.sync();
    } finally {
      disk.fault = before;
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }
}
