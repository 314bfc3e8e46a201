/** What shows bytes and files to others: file systems in user space, later block and file servers. */
export * from './fuse/index.ts';
export * from './nfs/index.ts';
