/** What a mounted filesystem can hold, for trees that are grown in it. */

/** See `growTree`. */
export interface TreeProfile {
  /** Random steps; each makes, changes, renames or removes something. */
  readonly steps: number;
  /** Bytes of content, about; growth goes on with empty things when they are used up. */
  readonly contentBytes: number;
  /** Entries of the one big directory; 0 for none. */
  readonly bigDirectoryEntries: number;
  /** Names: any bytes, any UTF-8, or what Windows allows too. Names never differ in case only. */
  readonly names: 'bytes' | 'utf8' | 'windows';
  /** Longest name; in bytes, for `windows` in UTF-16 units. */
  readonly nameLengthMax: number;
  /** Largest offset at which a sparse file has data; 0 for no sparse files. */
  readonly sparseBytesMax: number;
  readonly modes: boolean;
  readonly owners: boolean;
  readonly hardLinks: boolean;
  /** Longest target of a symlink in bytes; 0 for no symlinks. */
  readonly symlinkBytesMax: number;
  /** Fifos, sockets and device nodes. */
  readonly specials: boolean;
  /** Largest device numbers; without it, those of Linux. */
  readonly deviceMax?: { readonly major: number; readonly minor: number };
  /** Longest value of an extended attribute in `user.`; 0 for none. */
  readonly attributeBytesMax: number;
  /** Attributes in `trusted.` and `security.`, too. */
  readonly privilegedAttributes: boolean;
  readonly acls: boolean;
  /** `fallocate` beyond the end, punched holes. */
  readonly preallocation: boolean;
  /** Earliest and latest second since 1970 that is set; undefined leaves times alone. */
  readonly times?: { readonly from: number; readonly to: number; readonly unitNanoseconds: number };
}

/** Everything that ext4, xfs, btrfs and ZFS hold. */
export const posixProfile: TreeProfile = Object.freeze({
  steps: 300, contentBytes: 12 << 20, bigDirectoryEntries: 600, names: 'bytes', nameLengthMax: 255, sparseBytesMax: 40 << 20, modes: true, owners: true,
  hardLinks: true, symlinkBytesMax: 1000, specials: true, attributeBytesMax: 1000, privilegedAttributes: true, acls: true, preallocation: true,
  times: { from: -0x8000_0000, to: 0x7fff_ffff, unitNanoseconds: 1 },
});

/** Files and directories alone, as FAT and exFAT have them. */
export const plainProfile: TreeProfile = Object.freeze({
  steps: 300, contentBytes: 12 << 20, bigDirectoryEntries: 600, names: 'windows', nameLengthMax: 255, sparseBytesMax: 0, modes: false, owners: false,
  hardLinks: false, symlinkBytesMax: 0, specials: false, attributeBytesMax: 0, privilegedAttributes: false, acls: false, preallocation: false,
  times: { from: 315_619_200, to: 4_354_732_800, unitNanoseconds: 2e9 },
});
