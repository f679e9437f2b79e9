/** A configuration that is refused. The message names file and line, key and value, and what to do. */
export class ConfigError extends Error {}
