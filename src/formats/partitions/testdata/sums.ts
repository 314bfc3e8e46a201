/** What the kernel showed of each volume of the disks in this folder: SHA-256 of its bytes, and how many there are. */

/** An array of md. */
export interface ArrayFixture {
  readonly name: string;
  readonly disks: number;
  /** Sets of disks that it can do without. */
  readonly spares: readonly (readonly number[])[];
  readonly sha256: string;
  readonly size: number;
  readonly level: string;
  readonly version: string;
  readonly step: string;
}

/** Arrays. */
export const arrays: readonly ArrayFixture[] = [
  { name: 'raid5', disks: 3, spares: [[0], [1], [2]], sha256: '0296f86871d1c9c838800273596156176cb8c11d83bc8224f803c3e54d270a4b', size: 4194304, level: 'raid5', version: '1.2', step: 'md=lab' },
  { name: 'raid6', disks: 4, spares: [[0], [1], [2], [3], [0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]], sha256: 'b5095f874be3800ece7d09eb1ab93967eda3549fe896461af90b93e9164b3760', size: 4161536, level: 'raid6', version: '1.0', step: 'md=lab' },
  { name: 'raid10', disks: 3, spares: [[0], [1], [2]], sha256: '200dfd9793addbfe7f79741594d379de8ec97f1222892c93e7c48ba110a43527', size: 1474560, level: 'raid10', version: '0.90', step: 'md=9' },
  { name: 'raid0', disks: 3, spares: [], sha256: '3d0cf5fe9eb57ddb24c50da8f75b33c57a7bf4c277ab1611c7ef1bccece1f5c6', size: 4390912, level: 'raid0', version: '1.1', step: 'md=lab' },
  { name: 'stale', disks: 2, spares: [[1]], sha256: '763844e24940bc9fe227743f9677b12f6e662d34b3fc69c827ffe72de4735f25', size: 2097152, level: 'raid1', version: '1.2', step: 'md=lab' },
];

/** Volumes of the group `vg`. */
export const groupVolumes: readonly { readonly step: string; readonly type: string; readonly sha256: string; readonly size: number }[] = [
  { step: 'lv=vg/lin', type: 'linear', sha256: 'a6b9ced5136f2606af7bc50b5a3f785a739b10aeff10ae4a4cb0774c1093dbc5', size: 2097152 },
  { step: 'lv=vg/str', type: 'striped', sha256: 'a079aae277c6a7b9e3ba8046a3b553c2f47df1967c2f73c4283de6de0f811a4c', size: 1572864 },
  { step: 'lv=vg/thin', type: 'thin', sha256: 'dc905168a4e3ea7f8c899408162b028781a401b7f3b3652a318a476d4e6db41d', size: 8388608 },
  { step: 'lv=vg/thinsnap', type: 'thin', sha256: '677b97ab0fb84be6586493704e7e41a459fb3bf01408ccd20256a0d02d7a5eac', size: 8388608 },
  { step: 'lv=vg/orig', type: 'linear', sha256: '8bbf6d03a57653fd045d7717469b17925657d93f3ce3864a37bcaf0fd80e7200', size: 2097152 },
  { step: 'lv=vg/snap', type: 'snapshot', sha256: '974f1b7faf3523da78ee505a185e6e93d3a31ec73a3545a3d7473f805cbd7004', size: 2097152 },
  { step: 'lv=vg/r5', type: 'raid5_ls', sha256: 'ef746be82e4fefa134d38be78e00b5215afc4fb9df5c70ecd9743090fa6f68b8', size: 2097152 },
  { step: 'lv=vg/r1', type: 'raid1', sha256: 'fae2a8184e2456d4f4a60760659e60c4444db9b0bcaee24b78480a9c89b07cb7', size: 1048576 },
];

/** A LUKS container. */
export interface ContainerFixture {
  readonly name: string;
  readonly key: string;
  readonly sha256: string;
  readonly size: number;
}

/** Containers of versions 1 and 2. */
export const containers: readonly [ContainerFixture, ContainerFixture] = [
  { name: 'luks1', key: 'lab secret', sha256: '6805216e95ff21cd05050ac3f90b6a9eca33fb03b0fb4990ef8f927c9d38a632', size: 1048576 },
  { name: 'luks2', key: 'lab secret', sha256: 'bdf720a31c4418a0220a4fc8d9c7889abc43048f267f737a6625d763c47b6b2b', size: 65536 },
];
