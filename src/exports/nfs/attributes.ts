/** Attributes as NFS version 3 has them, and who may do what. */
import type { NodeId, NodeStat, Timestamp } from '../../core/index.ts';
import { accessBits, fileTypes } from './nfs.layout.ts';
import type { Caller } from './rpc.ts';
import type { XdrWriter } from './xdr.ts';

const SECONDS_MAX = 0xffff_ffff;

/** Times of NFS begin in 1970 and end in 2106: earlier and later ones show as these. */
function time(results: XdrWriter, { seconds, nanoseconds }: Timestamp): void {
  if (seconds < 0) results.u32(0).u32(0);
  else if (seconds > SECONDS_MAX) results.u32(SECONDS_MAX).u32(0);
  else results.u32(seconds).u32(nanoseconds);
}

/** Writes `fattr3`. Source: RFC 1813, section 2.6. */
export function attributes(results: XdrWriter, id: NodeId, stat: NodeStat): void {
  const { type, mode, links, uid, gid, size, deviceMajor = 0, deviceMinor = 0, modified, accessed, changed } = stat;
  results.u32(fileTypes[type]).u32(mode).u32(links).u32(uid).u32(gid).u64(size).u64(size).u32(deviceMajor).u32(deviceMinor).u64(1).u64(id);
  time(results, accessed ?? modified);
  time(results, modified);
  time(results, changed ?? modified);
}

/** Writes `post_op_attr`. */
export function optionalAttributes(results: XdrWriter, found: { readonly id: NodeId; readonly stat: NodeStat } | undefined): void {
  results.bool(found !== undefined);
  if (found !== undefined) attributes(results, found.id, found.stat);
}

/** Of the bits asked for, those that permissions grant: nothing is ever written. Root may read all, as with a local disk. */
export function grantedAccess(stat: NodeStat, { uid, gid, groups }: Caller, asked: number): number {
  const shift = uid === stat.uid ? 6 : gid === stat.gid || groups.includes(stat.gid) ? 3 : 0;
  const bits = uid === 0 ? 0o5 : (stat.mode >>> shift) & 0o7;
  const mayExecute = uid === 0 ? stat.type === 'directory' || (stat.mode & 0o111) !== 0 : (bits & 0o1) !== 0;
  let granted = (bits & 0o4) === 0 ? 0 : accessBits.read;
  if (mayExecute) granted |= stat.type === 'directory' ? accessBits.lookup : accessBits.execute;
  return granted & asked;
}
