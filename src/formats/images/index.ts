/** Disk images: recognise and open one, read the disk's bytes. */
export type { DiskImage, ImageFacts, ImageFormatName, ImageOpenContext, ParentFacts, SnapshotFacts } from './image.ts';
export { imageFormats, openImage, probeImage, type RecognisedImage } from './open.ts';
export type { ImageSink } from './write/sink.ts';
export { writableFormats, type WritableFormat, writeImage, type WriteOptions } from './write/write.ts';
