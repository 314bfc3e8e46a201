/**
 * `npm run lab [-- --quick] [NAME…]`: runs the scenarios listed here, all or those named; `--list` only prints them.
 * Ends with `N passed, N failed, N skipped`; exit code 1 when a check failed, 2 when called wrongly.
 */
import assert from 'node:assert';
import { randomInt } from 'node:crypto';
import { endProcess } from '../src/services/cli/end-process.ts';
import { baculaBpipe, baculaBpipe15 } from './bacula-bpipe.ts';
import { baculaChanger, baculaChanger15 } from './bacula-changer.ts';
import { run as runCorpus } from './bacula-corpus.ts';
import { baculaDaemon, baculaDaemon15 } from './bacula-daemon.ts';
import { baculaDocs, baculaDocs15 } from './bacula-docs.ts';
import { baculaFifo, baculaFifo15 } from './bacula-fifo.ts';
import { baculaFuse, baculaFuse15, baculaFuseSpeed } from './bacula-fuse.ts';
import { baculaKills, baculaKills15 } from './bacula-kills.ts';
import { scenario as baculaLive15 } from './bacula-live-15.ts';
import { scenario as baculaLive } from './bacula-live.ts';
import { baculaLarge, baculaLarge15 } from './bacula-large.ts';
import { baculaModes, baculaModes15 } from './bacula-modes.ts';
import { baculaTail, baculaTail15 } from './bacula-tail.ts';
import { scenario as compose } from './compose.ts';
import { scenario as cephObjects } from './ceph-objects.ts';
import { scenario as cephRepository } from './ceph-repository.ts';
import { scenario as cephSpeed } from './ceph-speed.ts';
import { scenario as fsBtrfs } from './filesystems/btrfs.ts';
import { scenario as fsExfat } from './filesystems/exfat.ts';
import { scenario as fsExt } from './filesystems/ext.ts';
import { scenario as fsFat } from './filesystems/fat.ts';
import { scenario as fsNtfs } from './filesystems/ntfs.ts';
import { scenario as fsXfs } from './filesystems/xfs.ts';
import { scenario as fsZfs } from './filesystems/zfs.ts';
import { scenario as partitions } from './partitions/partitions.ts';
import { fullScenario as guestImagesFull, scenario as guestImages } from './guest-images.ts';
import { scenario as imagesQemu } from './images-qemu.ts';
import { kernelScenario as serveNfsKernel, scenario as serveNfs } from './serve-nfs.ts';
import { scenario as serveSmb } from './serve-smb.ts';
import { findCorpus } from './corpus.ts';
import type { CorpusLookup } from './corpus.ts';
import { findProgram, isRoot } from './environment.ts';
import { formatTally, runScenarios } from './runner.ts';
import type { RunOptions } from './runner.ts';
import { crashSimulated } from './crash/crash-simulated.ts';
import { crashCrowd } from './crash/crowd.ts';
import { crashSensitivity } from './crash/sensitivity.ts';
import { scenario as daemon } from './daemon.ts';
import { faults } from './faults.ts';
import { fuseMount, fuseSpeed } from './fuse-mount.ts';
import { memoryBacula, memoryFull, memoryQuick } from './memory.ts';
import { peerFailures } from './peer-failures.ts';
import { scenario as powerLoss } from './power-loss.ts';
import { retentionRestic } from './retention-restic.ts';
import { runbook } from './runbook.ts';
import { storeRoundtrip } from './store-roundtrip.ts';
import { scale, scaleQuick } from './scale.ts';
import type { Scenario } from './scenario.ts';
import { fullDiskWriters } from './thrash/full-disk.ts';
import { crashReal, crashRealQuick, thrashLong, thrashQuick } from './thrash/thrash.ts';
import { volumeShelf } from './volume-shelf.ts';

const baculaCorpus: Scenario = {
  name: 'bacula-corpus',
  needs: ['corpus'],
  quick: true,
  run: ({ corpus, log }) => {
    assert(corpus !== undefined, 'the runner gives a corpus to those who need one');
    return runCorpus({ corpus, log });
  },
};

/** Every scenario of the lab, cheapest first. */
const scenarios: readonly Scenario[] = [baculaCorpus, storeRoundtrip, volumeShelf, faults, crashSimulated, crashSensitivity, crashCrowd, crashRealQuick, crashReal, fullDiskWriters, thrashQuick, peerFailures, runbook, daemon, fuseMount, baculaLive, baculaChanger, baculaBpipe, baculaDocs, baculaFuse, retentionRestic, imagesQemu, guestImages, serveNfs, cephObjects, cephRepository, memoryQuick, scaleQuick, baculaLive15, baculaChanger15, baculaFifo, baculaTail, baculaDaemon, baculaBpipe15, baculaDocs15, baculaFifo15, baculaTail15, baculaDaemon15, baculaFuse15, baculaModes, baculaModes15, compose, cephSpeed, guestImagesFull, serveSmb, serveNfsKernel, partitions, fsExt, fsXfs, fsBtrfs, fsNtfs, fsFat, fsExfat, fsZfs, fuseSpeed, baculaFuseSpeed, baculaLarge, baculaLarge15, memoryBacula, memoryFull, scale, thrashLong, powerLoss, baculaKills, baculaKills15];

function optionsFromEnvironment(): RunOptions {
  let corpus: CorpusLookup | undefined;
  return {
    strict: process.env['HOLDFAST_LAB_STRICT'] === '1',
    keep: process.env['HOLDFAST_LAB_KEEP'] === '1',
    seed: Number(process.env['HOLDFAST_SEED'] ?? randomInt(2 ** 32)) >>> 0,
    hasProgram: (name) => findProgram(name) !== undefined,
    isRoot,
    corpus: () => (corpus ??= findCorpus()),
    log: (line) => console.log(line),
  };
}

async function main(words: readonly string[]): Promise<number> {
  const names = words.filter((word) => !word.startsWith('--'));
  const unknown = [...words.filter((word) => word.startsWith('--') && !['--quick', '--list'].includes(word)), ...names.filter((name) => !scenarios.some((one) => one.name === name))];
  if (unknown.length > 0) {
    console.error(`Run the lab: unknown '${unknown.join(' ')}'; scenarios are ${scenarios.map((one) => one.name).join(' ')}`);
    return 2;
  }
  const chosen = scenarios.filter((one) => (names.length === 0 || names.includes(one.name)) && (one.quick || !words.includes('--quick')));
  if (words.includes('--list')) {
    for (const one of chosen) console.log(`${one.name}${one.quick ? ' (quick)' : ''}: needs ${one.needs.join(' ') || 'nothing'}`);
    return 0;
  }
  if (chosen.length === 0) {
    console.error('Run the lab: no scenario was chosen');
    return 2;
  }
  const total = await runScenarios(chosen, optionsFromEnvironment());
  console.log(formatTally(total));
  return total.failed > 0 ? 1 : 0;
}

process.exitCode = await main(process.argv.slice(2));
await endProcess();
