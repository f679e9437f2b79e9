/** A law of the system under test was broken: what the whole simulation looks for. */
export class Violation extends Error {
  readonly law: string
  constructor(law: string, found: string) {
    super(`${law}: ${found}`)
    this.law = law
  }
}
