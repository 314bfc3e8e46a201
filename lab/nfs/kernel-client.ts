/** Runs in a guest: mounts the export by Linux's NFS client, and writes down all that it shows. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { PosixTree } from '../../src/fs-adapters/posix/index.ts';
import { surveyTree } from '../filesystems/entry-facts.ts';
import { packFacts } from '../filesystems/guest-fill.ts';
import { kernelFiles, nfsCompare, type KernelTask } from './kernel-task.ts';

const MOUNT = '/mnt/fs';

function run(...words: readonly string[]): void {
  const { status, stdout, stderr, error } = spawnSync('/bin/busybox', words, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`busybox ${words.join(' ')}: ${error?.message ?? `${stdout}${stderr}`}`);
}

const work = process.argv[2] ?? '';
const { ports } = JSON.parse(readFileSync(path.join(work, kernelFiles.task), 'utf8')) as KernelTask;
run('ifconfig', 'lo', '127.0.0.1', 'up');
run('ifconfig', 'eth0', '10.0.2.15', 'netmask', '255.255.255.0', 'up');
mkdirSync(MOUNT, { recursive: true });
for (const port of ports) {
  run('mount', '-i', '-t', 'nfs', '-o', `ro,vers=3,proto=tcp,nolock,port=${port},mountport=${port},mountvers=3,mountproto=tcp,addr=10.0.2.2`, '10.0.2.2:/', MOUNT);
  try {
    const tree = new PosixTree({ root: Buffer.from(MOUNT) });
    try {
      writeFileSync(path.join(work, kernelFiles.facts(port)), packFacts(await surveyTree(tree, nfsCompare, false)));
    } finally {
      await tree.close();
    }
  } finally {
    run('umount', MOUNT);
  }
}
process.stdout.write(`${kernelFiles.done}\n`);
