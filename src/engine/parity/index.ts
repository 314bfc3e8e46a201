/** Parity: sidecars that heal rot within one object. */
export { createParity, type ParityOptions, type ParityWriter } from './create-parity.ts';
export type { ParityReport, SidecarReport } from './inspection.ts';
export { repairWithParity, verifySidecar, verifyWithParity, type ParityRepair } from './repair.ts';
export { PARITY_DIRECTORY, sidecarName, type SidecarFault } from './sidecar.ts';
export { LASTING_PERCENT, ProtectedObjects, isLasting, lasting, type Protection } from './protected-objects.ts';
export { openIfPresent, slabsOf } from './block-reader.ts';
