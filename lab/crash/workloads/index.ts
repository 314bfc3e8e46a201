/** All workloads. To add one: a file here that exports it, and a row below. */
import type { Workload } from '../workload.ts';
import { backup } from './backup.ts';
import { check } from './check.ts';
import { clone } from './clone.ts';
import { collectLate } from './collect-late.ts';
import { collectWaiting } from './collect-waiting.ts';
import { collect } from './collect.ts';
import { create } from './create.ts';
import { encrypted } from './encrypted.ts';
import { forgetters } from './forgetters.ts';
import { forget } from './forget.ts';
import { rebuild } from './rebuild.ts';
import { restore } from './restore.ts';
import { rotate } from './rotate.ts';
import { writers } from './writers.ts';

/** In the order in which a campaign runs them. */
export const workloads: readonly Workload[] = [create, backup, forget, forgetters, collect, collectWaiting, collectLate, rebuild, restore, check, writers, encrypted, rotate, clone];
