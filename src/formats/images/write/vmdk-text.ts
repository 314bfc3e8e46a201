/** The descriptor of a VMDK that is one file. Source: VMware, "Virtual Disk Format 5.0", "The Descriptor File". */
import { utf8 } from '../../../core/index.ts';

const SECTOR = 512;

/** Text of the descriptor; `cid` is the content's number, not 0xffffffff. */
export function descriptorText(disk: { readonly createType: string; readonly bytes: number; readonly cid: number; readonly name: string }): Uint8Array {
  const sectors = disk.bytes / SECTOR;
  const cylinders = Math.min(16_383, Math.ceil(sectors / (16 * 63)));
  return utf8([
    '# Disk DescriptorFile', 'version=1', `CID=${disk.cid.toString(16).padStart(8, '0')}`, 'parentCID=ffffffff', `createType="${disk.createType}"`, '',
    '# Extent description', `RW ${sectors} SPARSE "${disk.name}"`, '', '# The Disk Data Base', '#DDB', '', 'ddb.virtualHWVersion = "4"', `ddb.geometry.cylinders = "${cylinders}"`,
    'ddb.geometry.heads = "16"', 'ddb.geometry.sectors = "63"', 'ddb.adapterType = "ide"', '',
  ].join('\n'));
}
