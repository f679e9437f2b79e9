/** The first step of a stop: the controller moves this broker's leaderships to others (reference §0.2, §2.7). */
import type { Host } from '../../host/host.ts'
import type { BrokerSettings } from '../config/broker-settings.ts'
import type { ControllerLink } from './controller-link.ts'

export interface HandOverFacts {
  link: ControllerLink
  settings: Pick<BrokerSettings, 'values'>
  brokerId: number
  brokerEpoch: () => bigint
  /** Whether there is anybody to take over. */
  hasOthers: () => boolean
  /** Resolves after that time, or as soon as nobody is there to take over. */
  whileOthers: (timeoutMs: number) => Promise<unknown>
}

/** A controller without its ZooKeeper does not answer; a stop does not wait for that. */
const answerMsMax = 10_000

/** Resolves when all is handed over, or when it was tried often enough: the stop goes on either way. */
export async function handOver(host: Host, { link, settings: { values }, brokerId, brokerEpoch, hasOthers, whileOthers }: HandOverFacts): Promise<void> {
  if (!values['controlled.shutdown.enable']) return
  const log = host.logger.named('kafka.broker')
  for (let left = values['controlled.shutdown.max.retries']; hasOthers() && left > 0; left--) {
    let because: string
    try {
      const remaining = await within(host, Math.min(answerMsMax, values['controller.socket.timeout.ms']), link.controlledShutdown(brokerEpoch()))
      if (remaining === undefined) {
        log.warn('leaderships could not be handed over: the controller did not answer in time', { broker: brokerId })
        return
      }
      if (remaining === 0) {
        log.info('leaderships handed over', { broker: brokerId })
        return
      }
      because = `${remaining} partitions have no other replica in sync`
    } catch (error) {
      because = (error as Error).message
    }
    log.warn('leaderships could not be handed over', { broker: brokerId, because, tries: left - 1 })
    if (left > 1) await whileOthers(values['controlled.shutdown.retry.backoff.ms'])
  }
}

/** Undefined when the time is over first. */
function within<T>(host: Host, ms: number, work: Promise<T>): Promise<T | undefined> {
  return new Promise((done, fail) => {
    const timer = host.timers.set(ms, () => done(undefined))
    work.then(done, fail).finally(() => timer.cancel())
  })
}
