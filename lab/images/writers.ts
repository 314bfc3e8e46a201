/** Images that holdfast writes, judged by qemu-img. */
import { rmSync } from 'node:fs';
import path from 'node:path';
import { fileSource } from '../../src/fs-adapters/posix/index.ts';
import { convertDisk } from '../../src/services/index.ts';
import { writableFormats } from '../../src/formats/images/index.ts';
import type { Checks } from '../checks.ts';
import { runTool } from './tools.ts';

const qemuNames: Readonly<Record<string, string>> = { vhd: 'vpc', 'vmdk-sparse': 'vmdk' };
/** What `qemu-img check` knows to check. */
const checked = new Set(['qcow2', 'vhdx', 'vmdk', 'vdi']);

/** Writes the raw disk in all formats; each must be sound for qemu-img and hold the same bytes. */
export async function checkWriters(directory: string, raw: string, checks: Checks): Promise<void> {
  for (const format of writableFormats) {
    const file = `written.${format}`;
    const name = qemuNames[format] ?? format;
    try {
      const source = await fileSource(path.join(directory, raw));
      try {
        await convertDisk(source, path.join(directory, file), format);
      } finally {
        await source.close();
      }
      if (checked.has(name)) runTool(directory, 'qemu-img', ['check', '-q', '-f', name, file]);
      runTool(directory, 'qemu-img', ['compare', '-q', '-f', 'raw', '-F', name, raw, file]);
      checks.expect(`${format} as holdfast writes it is sound and equal`, true, '');
    } catch (error) {
      checks.expect(`${format} as holdfast writes it is sound and equal`, false, String(error));
    }
    rmSync(path.join(directory, file), { force: true });
  }
}
