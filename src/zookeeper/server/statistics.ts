/** What a server has counted since it started or since `srst`: for srvr, stat, mntr and the AdminServer. */

export class Latency {
  count = 0
  total = 0
  min = 0
  max = 0
  last = 0

  /** Milliseconds. */
  add(ms: number): void {
    const whole = ms < 0 ? 0 : Math.floor(ms)
    this.min = this.count === 0 || whole < this.min ? whole : this.min
    if (whole > this.max) this.max = whole
    this.last = whole
    this.total += whole
    this.count++
  }
  /** At most four decimals, as Apache rounds. */
  get average(): number {
    return this.count === 0 ? 0 : Math.round((this.total / this.count) * 10_000) / 10_000
  }
  reset(): void {
    this.count = this.total = this.min = this.max = this.last = 0
  }
}

export class Statistics {
  readonly latency = new Latency()
  readonly readLatency = new Latency()
  readonly updateLatency = new Latency()
  readonly responseSize = new Latency()
  /** Bytes of what this server has proposed as a leader. */
  readonly proposalSize = new Latency()
  /** What `gtmk` shows and `stmk` sets; nothing is traced by it. */
  traceMask = 306n
  received = 0
  sent = 0
  authFailed = 0
  bytesReceived = 0
  responseBytes = 0
  connectionRequests = 0
  connectionsRejected = 0
  connectionDrops = 0
  revalidations = 0
  sessionlessExpired = 0
  staleSessionsExpired = 0
  commits = 0
  malformed = 0
  throttleWaits = 0
  readonly watchEvents = { created: 0, deleted: 0, changed: 0, children: 0 }

  /** What `srst` sets back. */
  reset(): void {
    this.latency.reset()
    this.proposalSize.reset()
    this.received = this.sent = this.authFailed = 0
  }
}
