/**
 * A virtual machine without acceleration (the kernel of Debian's package, a root filesystem of Debian's packages) that runs holdfast on a disk whose writes QEMU logs.
 */
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ToolError } from '../../src/core/index.ts';
import { runTool } from '../bacula/tool.ts';
import { repositoryRoot } from '../environment.ts';

/** Modules that the kernel needs before it can see its disks, in this order; all else is built in. */
const modules = ['virtio_ring', 'virtio', 'virtio_pci_modern_dev', 'virtio_pci_legacy_dev', 'virtio_pci', 'virtio_blk'];

const initScript = `#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev /root
/bin/busybox mount -t proc none /proc
/bin/busybox mount -t devtmpfs none /dev
for one in /modules/*.ko; do /bin/busybox insmod $one; done
/bin/busybox mount -t ext4 /dev/vda /root
exec /bin/busybox switch_root /root /sbin/run-lab
`;

const runScript = (rounds: number): string => `#!/bin/sh
export PATH=/usr/bin:/bin:/usr/sbin:/sbin HOME=/root HOLDFAST_CACHE_DIR=/tmp/cache
mount -t proc none /proc; mount -t sysfs none /sys; mount -t tmpfs none /tmp; mount -t devtmpfs none /dev
mount -t ext4 /dev/vdb /srv && node /opt/lab/driver.js /srv/repository /srv/notes ${rounds}
umount /srv; echo o > /proc/sysrq-trigger; sleep 60
`;

/** What a guest boots from. */
export interface GuestFiles {
  readonly kernel: string;
  readonly initrd: string;
  readonly root: string;
}

function moduleFile(kernelRoot: string, name: string): string | undefined {
  const found = readdirSync(path.join(kernelRoot, 'lib/modules'), { recursive: true }).map(String).find((file) => path.basename(file) === `${name}.ko`);
  return found === undefined ? undefined : path.join(kernelRoot, 'lib/modules', found);
}

async function makeInitrd(kernelRoot: string, directory: string): Promise<string> {
  const stage = path.join(directory, 'initrd');
  mkdirSync(path.join(stage, 'bin'), { recursive: true });
  mkdirSync(path.join(stage, 'modules'));
  cpSync('/bin/busybox', path.join(stage, 'bin/busybox'));
  modules.forEach((name, i) => {
    const file = moduleFile(kernelRoot, name);
    if (file !== undefined) cpSync(file, path.join(stage, 'modules', `${i}-${name}.ko`)); // otherwise it is built in
  });
  writeFileSync(path.join(stage, 'init'), initScript);
  chmodSync(path.join(stage, 'init'), 0o755);
  const file = path.join(directory, 'initrd.cpio');
  await runTool(['sh', '-c', 'cd "$1" && find . | cpio --quiet -o -H newc > "$2"', 'initrd', stage, file]);
  return file;
}

/** The command line's bundle and the packages it loads at run time. */
function copyHoldfast(root: string): void {
  const checkout = repositoryRoot();
  const target = path.join(root, 'opt/holdfast');
  for (const name of ['package.json', 'dist/cli', 'node_modules/hash-wasm', 'node_modules/fzstd', 'node_modules/@bokuweb', 'node_modules/@napi-rs', 'node_modules/koffi', 'node_modules/@koromix']) {
    if (existsSync(path.join(checkout, name))) cpSync(path.join(checkout, name), path.join(target, name), { recursive: true, dereference: true });
  }
  const lab = path.join(root, 'opt/lab');
  mkdirSync(lab, { recursive: true });
  for (const name of ['./driver.js', './content.js']) cpSync(new URL(name, import.meta.url), path.join(lab, path.basename(name)));
  writeFileSync(path.join(lab, 'package.json'), '{"type":"module"}');
}

/** Makes kernel, initrd and root filesystem below `directory`: about a minute. @throws {ToolError} Debian's packages cannot be had. */
export async function makeGuest(directory: string, rounds: number): Promise<GuestFiles> {
  mkdirSync(directory, { recursive: true });
  const depends = (await runTool(['apt-cache', 'depends', 'linux-image-cloud-amd64'])).stdout.toString();
  const image = /Depends: (\S+)/.exec(depends)?.[1];
  if (image === undefined) throw new ToolError(`Find a kernel: 'linux-image-cloud-amd64' depends on '${depends.trim()}'`);
  await runTool(['sh', '-c', 'cd "$1" && apt-get download -qq "$2" && dpkg-deb -x "$2"_*.deb kernel', 'kernel', directory, image]);
  const kernelRoot = path.join(directory, 'kernel');
  const root = path.join(directory, 'rootfs');
  await runTool(['debootstrap', '--variant=minbase', '--include=nodejs', 'trixie', root], { timeoutMs: 600_000 });
  copyHoldfast(root);
  writeFileSync(path.join(root, 'sbin/run-lab'), runScript(rounds));
  chmodSync(path.join(root, 'sbin/run-lab'), 0o755);
  const rootImage = path.join(directory, 'root.img');
  await runTool(['mke2fs', '-q', '-t', 'ext4', '-d', root, rootImage, '1500M'], { timeoutMs: 300_000 });
  const kernelName = readdirSync(path.join(kernelRoot, 'boot')).find((name) => name.startsWith('vmlinuz'));
  return { kernel: path.join(kernelRoot, 'boot', kernelName ?? ''), initrd: await makeInitrd(kernelRoot, directory), root: rootImage };
}

/**
 * Boots the guest with an ext4 disk whose writes go to `log`, and waits until it powers off. @returns what its console said.
 * @throws {ToolError} QEMU fails or it takes longer than `timeoutMs`.
 */
export async function runGuest(guest: GuestFiles, disk: string, log: string, timeoutMs: number): Promise<string> {
  const serial = `${log}.console`;
  await runTool(['truncate', '-s', '0', log]);
  await runTool([
    'qemu-system-x86_64', '-accel', 'tcg,thread=multi', '-cpu', 'max', '-m', '1024', '-smp', '2', '-display', 'none', '-nodefaults', '-no-reboot', '-serial', `file:${serial}`,
    '-kernel', guest.kernel, '-initrd', guest.initrd, '-append', 'console=ttyS0 quiet panic=1 mitigations=off',
    '-drive', `if=none,id=root,format=raw,file=${guest.root},cache=unsafe`, '-device', 'virtio-blk-pci,drive=root',
    '-blockdev', `driver=file,node-name=disk,filename=${disk}`, '-blockdev', `driver=file,node-name=log,filename=${log}`,
    '-blockdev', 'driver=blklogwrites,node-name=logged,file=disk,log=log,log-sector-size=512', '-device', 'virtio-blk-pci,drive=logged,write-cache=on',
  ], { timeoutMs });
  return readFileSync(serial, 'utf8');
}
