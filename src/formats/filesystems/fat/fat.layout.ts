/** Tables of FAT. Source: Microsoft, FAT32 File System Specification 1.03 (fatgen103), sections "Boot Sector and BPB" and "FAT Directory Structure". */
import { type Layout, layout } from '../../../core/index.ts';

/** The part of the boot sector that FAT12, FAT16 and FAT32 share. */
export const bpbLayout: Layout<{
  readonly BS_jmpBoot: 'bytes:3'; readonly BS_OEMName: 'bytes:8'; readonly BPB_BytsPerSec: 'u16'; readonly BPB_SecPerClus: 'u8'; readonly BPB_RsvdSecCnt: 'u16'; readonly BPB_NumFATs: 'u8';
  readonly BPB_RootEntCnt: 'u16'; readonly BPB_TotSec16: 'u16'; readonly BPB_Media: 'u8'; readonly BPB_FATSz16: 'u16'; readonly BPB_SecPerTrk: 'u16'; readonly BPB_NumHeads: 'u16'; readonly BPB_HiddSec: 'u32'; readonly BPB_TotSec32: 'u32';
}> = layout('FAT BPB', 'le', {
  BS_jmpBoot: 'bytes:3', BS_OEMName: 'bytes:8', BPB_BytsPerSec: 'u16', BPB_SecPerClus: 'u8', BPB_RsvdSecCnt: 'u16', BPB_NumFATs: 'u8',
  BPB_RootEntCnt: 'u16', BPB_TotSec16: 'u16', BPB_Media: 'u8', BPB_FATSz16: 'u16', BPB_SecPerTrk: 'u16', BPB_NumHeads: 'u16', BPB_HiddSec: 'u32', BPB_TotSec32: 'u32',
});

/** What follows on FAT32 only. */
export const bpb32Layout: Layout<{
  readonly BPB_FATSz32: 'u32'; readonly BPB_ExtFlags: 'u16'; readonly BPB_FSVer: 'u16'; readonly BPB_RootClus: 'u32'; readonly BPB_FSInfo: 'u16'; readonly BPB_BkBootSec: 'u16'; readonly BPB_Reserved: 'bytes:12';
}> = layout('FAT32 BPB', 'le', { BPB_FATSz32: 'u32', BPB_ExtFlags: 'u16', BPB_FSVer: 'u16', BPB_RootClus: 'u32', BPB_FSInfo: 'u16', BPB_BkBootSec: 'u16', BPB_Reserved: 'bytes:12' });

/** The end of both kinds: number, label, name of the type. `BS_Reserved1` bit 0 is set while the volume is in use. */
export const bootTailLayout: Layout<{
  readonly BS_DrvNum: 'u8'; readonly BS_Reserved1: 'u8'; readonly BS_BootSig: 'u8'; readonly BS_VolID: 'u32'; readonly BS_VolLab: 'bytes:11'; readonly BS_FilSysType: 'bytes:8';
}> = layout('FAT boot sector', 'le', { BS_DrvNum: 'u8', BS_Reserved1: 'u8', BS_BootSig: 'u8', BS_VolID: 'u32', BS_VolLab: 'bytes:11', BS_FilSysType: 'bytes:8' });

/** A directory entry with a short name. */
export const dirEntryLayout: Layout<{
  readonly DIR_Name: 'bytes:11'; readonly DIR_Attr: 'u8'; readonly DIR_NTRes: 'u8'; readonly DIR_CrtTimeTenth: 'u8'; readonly DIR_CrtTime: 'u16'; readonly DIR_CrtDate: 'u16'; readonly DIR_LstAccDate: 'u16';
  readonly DIR_FstClusHI: 'u16'; readonly DIR_WrtTime: 'u16'; readonly DIR_WrtDate: 'u16'; readonly DIR_FstClusLO: 'u16'; readonly DIR_FileSize: 'u32';
}> = layout('FAT directory entry', 'le', {
  DIR_Name: 'bytes:11', DIR_Attr: 'u8', DIR_NTRes: 'u8', DIR_CrtTimeTenth: 'u8', DIR_CrtTime: 'u16', DIR_CrtDate: 'u16', DIR_LstAccDate: 'u16',
  DIR_FstClusHI: 'u16', DIR_WrtTime: 'u16', DIR_WrtDate: 'u16', DIR_FstClusLO: 'u16', DIR_FileSize: 'u32',
});

/** Bytes of a directory entry, short or part of a long name. */
export const SLOT_BYTES = 32;

/** `DIR_Attr`. */
export const ATTRIBUTE = { readOnly: 0x01, volumeId: 0x08, directory: 0x10, longName: 0x0f, longNameMask: 0x3f } as const;

/** First byte of an entry. */
export const MARK = { end: 0x00, deleted: 0xe5, e5: 0x05 } as const;
