/** The engine: repositories on final format, and the parts that integrators and benchmarks use. */
export { checkChunkerParameters, createChunker, defaultFastCdc, FixedChunker, PlainChunker, WasmChunker, CHUNKER_SCRATCH_BYTES } from './chunking/index.ts';
export type { Chunker, ChunkerParameters, FastCdcParameters, FixedParameters } from './chunking/index.ts';
export { createZstd, type Zstd } from './compression/zstd.ts';
export { keyCredential, passphraseCredential } from './crypto/index.ts';
export type { CipherName, Credential, CredentialKind, KeyProblem, RotationOptions, RotationReport, SlotRequest, SlotRow } from './crypto/index.ts';
export type { CollectOptions, CollectProgress, CollectReport } from './gc/collector.ts';
export { createHasher, type HashName, type Hasher } from './hashing/hasher.ts';
export { LogIndex, MemoryIndex, openIndex, type IndexKind } from './index/index.ts';
export type { ChunkingPolicy } from './ingest/lanes.ts';
export { pathText } from './ingest/path-text.ts';
export { appendOnly, openS3Objects, s3Location, type S3Credentials, type S3Location, type S3Tuning } from './objects/index.ts';
export { cloneRepository, type CloneOptions, type CloneReport, type CloneSide } from './repository/clone.ts';
export type { CheckOptions, CheckProgress, CheckReport } from './check/check.ts';
export type { CheckProblem } from './check/problem.ts';
export type { ReadSelection } from './check/selection.ts';
export type { RepairAction } from './repair/heal-objects.ts';
export type { RepairOptions, RepairReport } from './repair/repair.ts';
export { REPOSITORY_VERSION, type RepositoryChoices, type RepositoryConfig } from './repository/config.ts';
export type { RepositoryKeys } from './repository/encryption.ts';
export { RemoteRepository, type RemoteOptions } from './repository/remote-repository.ts';
export { Repository, type OpenOptions } from './repository/repository.ts';
export type { BackupOptions, BackupResult, RepositoryStatistics, SnapshotStore } from './repository/snapshot-store.ts';
export {
  PERIODS, parseDuration, parseKeepCount, planExplicit, wholeId, planRetention, previewLines,
  type GroupKey, type KeepRules, type RetentionPlan, type RetentionPolicy, type RetentionRow, type RetentionSnapshot,
} from './retention/index.ts';
export type { SnapshotCounts, SnapshotInfo } from './snapshots/manifest.ts';
export { LocalStore } from './store/local-store.ts';
export { WireServer, type WireServerOptions } from './wire/server.ts';
export type { WireEvent } from './wire/events.ts';
export { EnrolledHosts, createServerIdentity, createSiteKey, readClientCredentials, readServerCredentials, readServerIdentity } from './wire/channel/index.ts';
export { acceptChannel, channelFault, connectChannel } from './wire/channel/index.ts';
export type { Channel, ChannelCounts, ChannelFault, ChannelOptions, ClientCredentials, EnrolledHost, Peer, ServerCredentials, SiteKey } from './wire/channel/index.ts';
export { makeDirectories, memoryWorld, nodeWorld } from './world/index.ts';
