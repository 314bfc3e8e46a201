/** Parity: sidecars that heal rot within one object. */
export { createParity, type ParityOptions, type ParityWriter } from './create-parity.ts';
export type { ParityReport, SidecarReport } from './inspection.ts';
export { repairWithParity, verifyWithParity, type ParityRepair } from './repair.ts';
export { PARITY_DIRECTORY, sidecarName, type SidecarFault } from './sidecar.ts';
