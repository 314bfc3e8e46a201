/** Filesystems of guests: recognise and open one, read its files. */
export type { Filesystem, FilesystemContext, FilesystemDriver, FilesystemFacts, FilesystemName, FilesystemVolume, MemberFacts, NamedStream } from './filesystem.ts';
export { filesystemMember, openFilesystem, probeFilesystem, type RecognisedFilesystem } from './open.ts';
