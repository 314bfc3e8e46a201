/** One arrangement of disks: what a guest's kernel and tools make of them, and how what they show is handed back. */

/** An arrangement; what the guest needs of it is JSON-safe. */
export interface VolumeJob {
  readonly name: string;
  /** Bytes of each disk; the script knows the disks as `$D0`, `$D1` … */
  readonly disks: readonly number[];
  /** Shell, run with `-e`; it has {@link prelude}, and calls `sum STEP DEVICE` for each volume as it is at the end. */
  readonly script: string;
  /** Disks (by number) that a reader may be without, one set a line; it must still read everything that has redundancy. */
  readonly spareSets: readonly (readonly number[])[];
  /** What disk `index` holds at first, where that is not zeroes; the guest doesn't get it. */
  readonly content?: (index: number) => Uint8Array;
  /** Whether the volumes are also read as a location names them: then it is to be found out which disks belong together. */
  readonly byLocation?: boolean;
  /** Text of the key, for containers. */
  readonly key?: string;
}

/** What one volume held at the end of a job. */
export interface VolumeSum {
  readonly step: string;
  /** Of its bytes; or the class of the error that must come of reading it. */
  readonly sha256: string;
  readonly size: number;
}

/** What became of a job. */
export interface JobResult {
  readonly name: string;
  readonly status: number;
  readonly output: string;
}

/** Names of files in the folder that guest and host share. */
export const jobFiles = {
  jobs: 'jobs.json', results: 'results.json', random: 'random.bin', lvm: 'lvm',
  disk: (job: string, index: number): string => `${job}-${index}.raw`,
} as const;

/** Bytes of the random file that volumes are filled from. */
export const RANDOM_BYTES: number = 64 << 20;

/** Shell functions of the scripts. `refused STEP DEVICE` stands for a volume that is to be refused by name. `fill DEVICE SKIP SEEK COUNT` counts in units of 64 KiB; a device that is full ends it. */
export const prelude = `
fill() { dd if="$RANDOM_FILE" of="$1" bs=64k skip="$2" seek="$3" count="$4" conv=notrunc,fsync status=none 2>/dev/null || sync; }
sum() { echo "SUM $1 $(sha256sum < "$2" | cut -c1-64) $(blockdev --getsize64 "$2")"; }
refused() { echo "SUM $1 UnsupportedError $(blockdev --getsize64 "$2")"; }
synced() { for i in $(seq 240); do case "$(lvm lvs --noheadings -o sync_percent "$1" | tr -d ' ')" in 100.00) return 0;; esac; sleep 0.5; done; return 1; }
`;

/** The last sum of each step. */
export function sumsOf(output: string): readonly VolumeSum[] {
  const sums = new Map<string, VolumeSum>();
  for (const [, step, sha256, size] of output.matchAll(/^SUM (\S+) ([0-9a-f]{64}|UnsupportedError) (\d+)$/gm)) {
    sums.set(step as string, { step: step as string, sha256: sha256 as string, size: Number(size) });
  }
  return [...sums.values()];
}
