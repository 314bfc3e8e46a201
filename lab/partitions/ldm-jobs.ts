/** Random groups of dynamic disks of our own writer, mapped by ldmtool and filled through those maps. */
import { COMPONENT } from '../../src/formats/partitions/ldm/ldm.layout.ts';
import { type ComponentPlan, dynamicDisks, type PartitionPlan, type VolumePlan } from '../../src/formats/partitions/testing/ldm-disk.ts';
import type { VolumeJob } from './volume-job.ts';

/** Sectors of each disk's public area. */
const SECTORS = 24_000;
const DISKS = 3;
const forms = [{}, { gpt: true }, { disk3: true }] as const;

/** Arrangements that meet each form once. */
export const LDM_KINDS: number = forms.length;

/** Volumes of all kinds, each behind the last one on its disks. */
class Planner {
  readonly #random: () => number;
  readonly #used: number[] = Array.from({ length: DISKS }, () => 0);
  readonly plans: VolumePlan[] = [];

  constructor(random: () => number) {
    this.#random = random;
  }

  #partition(disk: number, size: number, place: Omit<PartitionPlan, 'disk' | 'start' | 'size'>): PartitionPlan {
    const start = (this.#used[disk] ?? 0) + Math.floor(this.#random() * 40) * 8;
    this.#used[disk] = start + size;
    return { disk, start, size, ...place };
  }

  #sectors(): number {
    return 1024 + Math.floor(this.#random() * 12) * 128;
  }

  /** Partitions on some disks one behind the other. */
  concatenated(disks: readonly number[], sizes: readonly number[] = disks.map(() => this.#sectors())): ComponentPlan {
    let reached = 0;
    const partitions = disks.map((disk, i) => {
      const size = sizes[i] ?? 0;
      reached += size;
      return this.#partition(disk, size, { volumeOffset: reached - size });
    });
    return { type: COMPONENT.concatenated, partitions };
  }

  columns(type: number, disks: readonly number[]): ComponentPlan {
    const size = this.#sectors();
    return { type, stripe: 128, columns: disks.length, partitions: disks.map((disk, column) => this.#partition(disk, size, { volumeOffset: 0, column })) };
  }

  add(name: string, size: number, components: readonly ComponentPlan[]): void {
    this.plans.push({ name, size, components });
  }

  sizeOf({ type, partitions }: ComponentPlan): number {
    const whole = partitions.reduce((sum, { size }) => sum + size, 0);
    return type === COMPONENT.raid5 ? whole / partitions.length * (partitions.length - 1) : whole;
  }

  /** One component. */
  plain(name: string, component: ComponentPlan): void {
    this.add(name, this.sizeOf(component), [component]);
  }

  mirrored(name: string, disks: readonly number[]): void {
    const size = this.#sectors();
    this.add(name, size, disks.map((disk) => this.concatenated([disk], [size])));
  }
}

/** The arrangement number `index`. */
export function ldmJob(index: number, random: () => number): VolumeJob {
  const planner = new Planner(random);
  planner.plain('Volume1', planner.concatenated([Math.floor(random() * DISKS)]));
  planner.plain('Spanned1', planner.concatenated([2, 0, 1]));
  planner.plain('Stripe1', planner.columns(COMPONENT.stripes, [1, 2]));
  planner.plain('Stripe2', planner.columns(COMPONENT.stripes, [2, 0, 1]));
  planner.mirrored('Mirror1', [2, 0]);
  planner.plain('Raid1', planner.columns(COMPONENT.raid5, [1, 0, 2]));
  const images = dynamicDisks(DISKS, SECTORS, planner.plans, forms[index % forms.length]);
  const given = images.map((_, i) => `-d $D${i}`).join(' ');
  const lines = [
    `ldmtool ${given} create all`,
    ...planner.plans.map(({ name }) => `fill /dev/mapper/ldm_vol_LabDg0_${name} ${Math.floor(random() * 400)} 0 2000`), 'sync',
    ...planner.plans.map(({ name }) => `sum ldm=${name} /dev/mapper/ldm_vol_LabDg0_${name}`), `ldmtool ${given} remove all`,
  ];
  return { name: `ldm-${index}`, disks: images.map((bytes) => bytes.length), content: (i) => images[i] as Uint8Array, script: lines.join('\n'), spareSets: images.map((_, i) => [i]) };
}
