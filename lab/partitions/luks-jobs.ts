/** Random containers of cryptsetup. */
import type { VolumeJob } from './volume-job.ts';

const kinds = [
  '--type luks1 --pbkdf-force-iterations 5000', '--type luks1 -c aes-cbc-essiv:sha256 -s 256 -h sha512 --pbkdf-force-iterations 3000', '--type luks2 --pbkdf argon2id --pbkdf-memory 4096 --pbkdf-force-iterations 4',
  '--type luks2 --pbkdf argon2i --pbkdf-memory 8192 --pbkdf-force-iterations 4 --sector-size 4096 -s 256', '--type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 4000 --sector-size 512 -h sha512',
  '--type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 -c aes-cbc-plain64 -s 128 --sector-size 2048', '--type luks1 -c aes-xts-plain64 -s 256 -h sha1 --pbkdf-force-iterations 2000',
] as const;

/** The arrangement number `index`. */
export function luksJob(index: number, random: () => number): VolumeJob {
  const options = kinds[index % kinds.length] as string;
  const key = `lab secret ${Math.floor(random() * 1e9)}`;
  const lines = [
    'printf %s "$KEY" > /run/key', `cryptsetup luksFormat -q --disable-locks ${options} $D0 /run/key`, 'cryptsetup open --disable-locks --key-file /run/key $D0 opened',
    `fill /dev/mapper/opened ${Math.floor(random() * 300)} 0 2000`, 'sum luks /dev/mapper/opened', 'cryptsetup close opened',
  ];
  return { name: `luks-${index}`, disks: [(24 << 20) + Math.floor(random() * 64) * 4096], script: lines.join('\n'), spareSets: [], key };
}
