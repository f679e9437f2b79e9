/** What the server says it is: tools parse the number, so it is that of the Apache release whose protocol is spoken. */
export const compatibleVersion = '3.9.3'
export const versionText = `${compatibleVersion}-ottla, built on 2026-11-21 00:00 UTC`
