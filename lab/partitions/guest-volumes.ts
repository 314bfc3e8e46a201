/** Runs in a guest: makes the arrangements of a list of jobs one after the other, each on loop devices over files that the host then reads. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { type JobResult, jobFiles, prelude, type VolumeJob } from './volume-job.ts';

/** This file: what a guest is told to run. */
export const guestProgram: string = fileURLToPath(import.meta.url);

const lvmConfiguration = `
devices { dir="/dev" scan=["/dev"] filter=["a|^/dev/loop|","r|.*|"] use_devicesfile=0 obtain_device_list_from_udev=0 external_device_info_source="none" }
activation { udev_sync=0 udev_rules=0 verify_udev_operations=0 monitoring=0 }
global { thin_check_executable="" cache_check_executable="" use_lvmpolld=0 }
backup { backup=0 archive=0 }
`;

function run(program: string, parameters: readonly string[], environment: NodeJS.ProcessEnv = process.env): { readonly status: number; readonly output: string } {
  const { status, stdout, stderr } = spawnSync(program, parameters, { encoding: 'utf8', env: environment, timeout: 600_000, maxBuffer: 16 << 20 });
  return { status: status ?? -1, output: `${stdout}${stderr}` };
}

function perform(work: string, job: VolumeJob, environment: NodeJS.ProcessEnv): JobResult {
  const devices: Record<string, string> = {};
  job.disks.forEach((_, i) => {
    devices[`D${i}`] = run('losetup', ['-f', '--show', path.join(work, jobFiles.disk(job.name, i))]).output.trim();
  });
  const { status, output } = run('sh', ['-e', '-c', `${prelude}\n${job.script}`], { ...environment, ...devices, RANDOM_FILE: path.join(work, jobFiles.random), KEY: job.key ?? '' });
  for (const clean of ['lvm vgchange -an', 'mdadm --stop --scan', 'dmsetup remove_all --force', 'sync', 'losetup -D']) run('sh', ['-c', clean], environment);
  return { name: job.name, status, output };
}

function main(work: string): void {
  run('mount', ['-t', 'tmpfs', 'none', '/run']);
  for (const directory of ['/run/lvm', '/run/lock/lvm', '/run/mdadm', '/run/cryptsetup', path.join(work, jobFiles.lvm)]) mkdirSync(directory, { recursive: true });
  writeFileSync(path.join(work, jobFiles.lvm, 'lvm.conf'), lvmConfiguration);
  const environment = { ...process.env, LVM_SYSTEM_DIR: path.join(work, jobFiles.lvm), DM_DISABLE_UDEV: '1', MDADM_NO_UDEV: '1', LVM_SUPPRESS_FD_WARNINGS: '1' };
  const jobs = JSON.parse(readFileSync(path.join(work, jobFiles.jobs), 'utf8')) as VolumeJob[];
  const results: JobResult[] = [];
  for (const job of jobs) {
    results.push(perform(work, job, environment));
    // After each: whoever waits sees how far it is, and what is there if the guest hangs.
    writeFileSync(path.join(work, jobFiles.results), JSON.stringify(results));
  }
}

if (process.argv[1] === guestProgram) main(process.argv[2] ?? '.');
