/**
 * One machine: a simulated disk, a clock and processes that use both. Each operation of a process on the disk is a point; a fault happens at one of
 * them. The same faults, seeds and processes give the same run to the last byte.
 */
import { createHash } from 'node:crypto';
import type { World } from '../../src/core/index.ts';
import type { SimulatedDisk } from '../../src/core/testing/simulated-world.ts';
import { canFail, type Fault, type Point, type PointKind } from './faults.ts';
import type { Engine } from './engine.ts';
import { ProcessDisk } from './process-disk.ts';
import { Scheduler } from './scheduler.ts';

/** What a process gets from its system after it was ended: nothing. */
export class ProcessEnded extends Error {}

/** What one operation meets. */
export type Verdict = 'done' | 'lie' | Error;

const EPOCH = 1_700_000_000_000;

/** A process: its operations are points, its locks end with it. */
export class SimulatedProcess {
  readonly name: string;
  readonly world: World;
  isEnded = false;
  readonly #machine: Machine;
  #randoms = 0;

  constructor(machine: Machine, name: string) {
    this.#machine = machine;
    this.name = name;
    this.world = {
      disk: new ProcessDisk(machine, this),
      now: () => machine.tick(1),
      sleep: async (milliseconds) => {
        machine.tick(milliseconds);
        await machine.turn(name);
      },
      randomBytes: (count) => this.#randomBytes(count),
    };
  }

  /** What the system does with an operation. @throws {ProcessEnded} */
  async meet(kind: PointKind, path: string): Promise<Verdict> {
    if (!this.isEnded) await this.#machine.turn(this.name);
    if (this.isEnded) throw new ProcessEnded(`process '${this.name}' was ended`);
    const verdict = this.#machine.point(this, kind, path);
    if (this.isEnded) throw new ProcessEnded(`process '${this.name}' was ended at '${kind} ${path}'`);
    return verdict;
  }

  #randomBytes(count: number): Uint8Array {
    const parts: Buffer[] = [];
    for (let size = 0; size < count; size += 32) parts.push(createHash('sha256').update(`${this.name}/${this.#randoms += 1}`).digest());
    return new Uint8Array(Buffer.concat(parts).subarray(0, count));
  }
}

/** See the file's header. */
export class Machine {
  readonly engine: Engine;
  readonly disk: SimulatedDisk;
  /** Points since {@link arm}. */
  points: Point[] = [];
  /** Whether a fault happened. */
  hit = false;
  /** Called before each point while armed. */
  onPoint: ((point: Point) => void) | undefined;
  #clock: number;
  #started: number;
  #fault: Fault | undefined;
  #isArmed = false;
  #isOff = false;
  #scheduler: Scheduler | undefined;
  readonly #processes: SimulatedProcess[] = [];
  readonly #locks = new Map<string, SimulatedProcess>();

  constructor(engine: Engine, state: { readonly disk: SimulatedDisk; readonly clock: number; readonly started: number } = { disk: new engine.simulated.SimulatedDisk(), clock: EPOCH, started: 0 }) {
    this.engine = engine;
    this.disk = state.disk;
    this.#clock = state.clock;
    this.#started = state.started;
    this.disk.now = () => this.#clock;
  }

  /** A new process. */
  start(): SimulatedProcess {
    this.#started += 1;
    const process = new SimulatedProcess(this, `process ${this.#started}`);
    process.isEnded = this.#isOff;
    this.#processes.push(process);
    return process;
  }

  /** The same machine without its processes: their memory and locks are gone, the page cache is not. */
  survivor(): Machine {
    return new Machine(this.engine, { disk: this.disk.clone(), clock: this.#clock, started: this.#started });
  }

  /** The machine once the power is back; `seed` says what the disk had written. */
  afterPowerCut(seed: number): Machine {
    return new Machine(this.engine, { disk: this.disk.afterPowerCut(seed), clock: this.#clock + 1_000, started: this.#started });
  }

  /** From now on operations are counted, and a fault happens. */
  arm(fault: Fault | undefined): void {
    this.#fault = fault;
    this.#isArmed = true;
    this.points = [];
  }

  disarm(): void {
    this.#isArmed = false;
    this.#fault = undefined;
  }

  /** From now on processes take turns in an order that `seed` says. */
  interleave(seed: number): void {
    this.#scheduler = new Scheduler(seed);
  }

  async turn(who: string): Promise<void> {
    await this.#scheduler?.turn(who);
  }

  /** The clock moves at each look. */
  tick(milliseconds: number): number {
    this.#clock += milliseconds;
    return this.#clock;
  }

  /** Who holds a lock. */
  holderOf(name: string): SimulatedProcess | undefined {
    return this.#locks.get(name);
  }

  setHolder(name: string, process: SimulatedProcess | undefined): void {
    if (process === undefined) this.#locks.delete(name);
    else this.#locks.set(name, process);
  }

  point(process: SimulatedProcess, kind: PointKind, path: string): Verdict {
    if (!this.#isArmed) return 'done';
    const point = { number: this.points.length + 1, kind, path };
    this.points.push(point);
    this.onPoint?.(point);
    const fault = this.#fault;
    if (fault === undefined) return 'done';
    if (point.number === fault.at) this.hit = true;
    if (fault.kind === 'eio' || fault.kind === 'enospc') return this.#failure(fault, point);
    if (point.number === fault.at) {
      this.#isOff = fault.kind !== 'kill';
      for (const one of this.#isOff ? this.#processes : [process]) this.#end(one);
    }
    return fault.kind === 'lie' && (kind === 'sync' || kind === 'syncDirectory') ? 'lie' : 'done';
  }

  #failure(fault: Fault, { number, kind, path }: Point): Verdict {
    const isMeant = number === fault.at || (fault.lasting && number > fault.at);
    if (!isMeant || !canFail(kind, fault.kind)) return 'done';
    const errno = fault.kind.toUpperCase();
    return new this.engine.core.ToolError(`${kind} '${path}': ${errno}`, { errno });
  }

  #end(process: SimulatedProcess): void {
    process.isEnded = true;
    for (const [name, holder] of this.#locks) if (holder === process) this.#locks.delete(name);
  }
}
