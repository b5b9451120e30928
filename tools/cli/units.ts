// Numbers of bytes for messages: 1 MB is 10^6 bytes, 1 GB is 10^9.

/** "12.5 MB" */
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

/** "1.9 GB" */
export const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
