/** Random partition tables of sfdisk and sgdisk, and what sfdisk itself says of them. */
import { truncateSync, writeFileSync } from 'node:fs';
import { type BlockSource, defaultLimits } from '../../src/core/index.ts';
import { openVolumeTable } from '../../src/formats/partitions/index.ts';
import { fileSource } from '../../src/fs-adapters/posix/index.ts';
import { runTool } from '../bacula/tool.ts';

const MIB = 1 << 20;

/** Lines for sfdisk: MBR with logical partitions, or GPT with names. */
function recipe(random: () => number, label: 'dos' | 'gpt'): string {
  const lines = [`label: ${label}`, 'unit: sectors'];
  const size = (): number => 2048 + Math.floor(random() * 6000);
  const types = label === 'dos' ? ['83', '7', 'c', '82', '8e', 'fd'] : ['L', 'U', 'S', 'V', 'R', 'EBD0A0A2-B9E5-4433-87C0-68B6B72699C7'];
  const line = (type?: string): string => {
    const name = label === 'gpt' && random() < 0.5 ? `, name="n${Math.floor(random() * 1e6)} λ"` : '';
    return `size=${type === undefined ? '' : size()}, type=${type ?? '5'}${name}`.replace('size=,', '');
  };
  const type = (): string => types[Math.floor(random() * types.length)] as string;
  const primary = 1 + Math.floor(random() * 3);
  for (let i = 0; i < primary; i += 1) lines.push(line(type()));
  if (label === 'gpt') for (let i = 0; i < random() * 20; i += 1) lines.push(line(type()));
  else if (random() < 0.7) {
    lines.push(' type=5');
    for (let i = 0; i < random() * 12; i += 1) lines.push(line(type()));
  }
  return `${lines.join('\n')}\n`;
}

interface Listed {
  readonly number: number;
  readonly start: number;
  readonly size: number;
}

/** What sfdisk reads, in bytes; extended partitions left out. */
async function listed(file: string): Promise<readonly Listed[]> {
  const { stdout } = await runTool(['sfdisk', '--json', file]);
  const { partitiontable: table } = JSON.parse(stdout.toString()) as { partitiontable: { partitions?: readonly { node: string; start: number; size: number; type: string }[]; sectorsize?: number } };
  const sector = table.sectorsize ?? 512;
  return (table.partitions ?? []).filter(({ type }) => !['5', 'f', '85'].includes(type)).map(({ node, start, size }) => ({ number: Number(/(\d+)$/.exec(node)?.[1]), start: start * sector, size: size * sector }));
}

function textOf(rows: readonly Listed[]): string {
  return [...rows].sort((a, b) => a.number - b.number).map(({ number, start, size }) => `p${number}@${start}+${size}`).join(' ');
}

async function ours(source: BlockSource): Promise<string> {
  const table = await openVolumeTable([source], { limits: defaultLimits });
  const problems = table.problems().length;
  const rows = table.volumes.map(({ step, offset = -1, size }) => ({ number: Number(step.slice(1)), start: offset, size }));
  await table.close();
  return `${textOf(rows)}${problems > 0 ? ` ${problems} problems` : ''}`;
}

/** Makes a table at `file`, reads it with both. @returns what it was and the difference, if any. */
export async function checkRandomTable(file: string, random: () => number): Promise<{ readonly how: string; readonly difference: string | undefined }> {
  writeFileSync(file, '');
  truncateSync(file, (128 + Math.floor(random() * 64)) * MIB + Math.floor(random() * 8) * 512);
  const label = random() < 0.5 ? 'dos' : 'gpt';
  const text = recipe(random, label);
  await runTool(['sfdisk', '--quiet', '--no-reread', '--no-tell-kernel', file], { input: text });
  // sgdisk moves entries about and leaves holes in their numbers.
  if (label === 'gpt' && random() < 0.5) await runTool(['sgdisk', '--delete=1', '--new=77:0:+1M', '--typecode=77:8300', file], { anyStatus: true });
  const expected = textOf(await listed(file));
  let found: string;
  try {
    found = await ours(await fileSource(file));
  } catch (error) {
    found = String(error);
  }
  return { how: `${label} of ${expected.split(' ').length} partitions`, difference: found === expected ? undefined : `'${found}', sfdisk has '${expected}'` };
}
