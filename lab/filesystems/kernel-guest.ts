/**
 * Filesystems that this machine's kernel cannot mount, in a virtual machine without acceleration: Debian's kernel on this machine's own files, read-only.
 * A guest runs one module of the lab's with Node and one folder to write in; about 20 seconds until it runs.
 */
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ToolError } from '../../src/core/index.ts';
import { runTool } from '../bacula/tool.ts';
import { findProgram } from '../environment.ts';

/** Modules that the guest needs before it can run anything, in this order. */
const baseModules = ['virtio_ring', 'virtio', 'virtio_pci_modern_dev', 'virtio_pci_legacy_dev', 'virtio_pci', 'netfs', 'fscache', '9pnet', '9pnet_virtio', '9p', 'loop'];
/** Where the folder that can be written is in the guest. */
export const GUEST_WORK = '/mnt/work';

const initScript = `#!/bin/busybox sh
export PATH=/bin:/usr/bin
/bin/busybox mkdir -p /proc /sys /dev /host
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t devtmpfs none /dev
for one in /modules/*.ko; do /bin/busybox insmod $one || echo "no $one"; done
share=trans=virtio,version=9p2000.L,msize=262144
/bin/busybox mount -t 9p -o ro,$share,cache=loose host /host
/bin/busybox mount -t tmpfs none /host/mnt
/bin/busybox mkdir -p /host${GUEST_WORK} /host/mnt/fs
/bin/busybox mount -t 9p -o rw,$share work /host${GUEST_WORK}
/bin/busybox mount -t proc none /host/proc
/bin/busybox mount -t sysfs none /host/sys
/bin/busybox mount -t devtmpfs none /host/dev
/bin/busybox chroot /host /bin/sh ${GUEST_WORK}/run.sh > /host${GUEST_WORK}/guest.log 2>&1
/bin/busybox sync
/bin/busybox poweroff -f
`;

/** A kernel with what it boots from. */
export interface KernelGuest {
  readonly kernel: string;
  readonly initrd: string;
}

/** An initial root filesystem below `directory`: busybox, modules in the order in which they are loaded, and what runs first. @returns its file. */
export async function packInitrd(directory: string, modules: readonly string[], init: string): Promise<string> {
  const stage = path.join(directory, 'initrd');
  for (const name of ['bin', 'modules']) mkdirSync(path.join(stage, name), { recursive: true });
  cpSync('/bin/busybox', path.join(stage, 'bin/busybox'));
  modules.forEach((file, i) => { cpSync(file, path.join(stage, 'modules', `${String(i).padStart(2, '0')}-${path.basename(file)}`)); });
  writeFileSync(path.join(stage, 'init'), init);
  chmodSync(path.join(stage, 'init'), 0o755);
  const initrd = path.join(directory, 'initrd.cpio');
  await runTool(['sh', '-c', 'cd "$1" && find . | cpio --quiet -o -H newc > "$2"', 'initrd', stage, initrd]);
  return initrd;
}

/**
 * Makes a guest below `directory` from Debian's kernel package, with these modules more, in this order.
 * @throws {ToolError} when the package cannot be had or lacks a module.
 */
export async function makeKernelGuest(directory: string, modules: readonly string[]): Promise<KernelGuest> {
  mkdirSync(directory, { recursive: true });
  const depends = (await runTool(['apt-cache', 'depends', 'linux-image-amd64'])).stdout.toString();
  const image = /Depends: (\S+)/.exec(depends)?.[1];
  if (image === undefined) throw new ToolError(`Find a kernel: 'linux-image-amd64' depends on '${depends.trim()}'`);
  await runTool(['sh', '-c', 'cd "$1" && apt-get download -qq "$2" && dpkg-deb -x "$2"_*.deb kernel', 'kernel', directory, image]);
  const kernelRoot = path.join(directory, 'kernel');
  const files = new Map(readdirSync(path.join(kernelRoot, 'lib/modules'), { recursive: true }).map((file) => [path.basename(String(file)), path.join(kernelRoot, 'lib/modules', String(file))]));
  const found = [...baseModules, ...modules].map((name) => {
    const file = files.get(`${name}.ko`);
    if (file === undefined) throw new ToolError(`Make a guest: the kernel '${image}' has no module '${name}'`);
    return file;
  });
  const initrd = await packInitrd(directory, found, initScript);
  const kernelName = readdirSync(path.join(kernelRoot, 'boot')).find((name) => name.startsWith('vmlinuz'));
  return { kernel: path.join(kernelRoot, 'boot', kernelName ?? ''), initrd };
}

/** Modules of {@link makeKernelGuest} for a guest with a network; in it, this machine's loopback is 10.0.2.2. */
export const networkModules: readonly string[] = ['failover', 'net_failover', 'virtio_net'];

/** What a guest has besides. */
export interface GuestOptions {
  readonly timeoutMs: number;
  /** A network card that leads to this machine and nowhere else. */
  readonly network?: boolean;
}

/**
 * Runs the module at `file` (compiled, of this checkout) in the guest, where `work` is at {@link GUEST_WORK}, until the guest is off.
 * @returns what it printed. @throws {ToolError} QEMU fails, or it takes longer than it may.
 */
export async function runInGuest(guest: KernelGuest, work: string, file: string, { timeoutMs, network = false }: GuestOptions): Promise<string> {
  const node = realpathSync(process.execPath);
  writeFileSync(path.join(work, 'run.sh'), `export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TZ=UTC LC_ALL=C.UTF-8\nexec '${node}' '${file}' ${GUEST_WORK}\n`);
  const share = (tag: string, folder: string, access: string): readonly string[] => ['-virtfs', `local,path=${folder},mount_tag=${tag},security_model=none,multidevs=remap${access}`];
  const console_ = path.join(work, 'console.log');
  await runTool([
    findProgram('qemu-system-x86_64') ?? 'qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-cpu', 'max,la57=off', '-m', '2048', '-smp', '2', '-display', 'none', '-nodefaults', '-no-reboot', '-serial', `file:${console_}`,
    '-kernel', guest.kernel, '-initrd', guest.initrd, '-append', 'console=ttyS0 quiet panic=1 nokaslr no_timer_check mitigations=off', ...share('host', '/', ',readonly=on'), ...share('work', work, ''),
    ...(network ? ['-netdev', 'user,id=net,restrict=off', '-device', 'virtio-net-pci,netdev=net'] : []),
  ], { timeoutMs });
  try {
    return readFileSync(path.join(work, 'guest.log'), 'utf8');
  } catch (error) {
    throw new ToolError(`Run a guest: it left no log; its console ends with '${readFileSync(console_, 'utf8').slice(-1000)}'`, {}, error);
  }
}
