/**
 * `meta.properties` in the root of a log directory: which broker of which cluster it belongs to.
 *
 *     #\n #<date>\n broker.id=<n>\n version=0\n cluster.id=<22 characters>\n
 */
import { CorruptFileError } from './corrupt-file-error.ts'

export interface MetaProperties {
  brokerId: number | undefined
  clusterId: string | undefined
}

export function parseMetaProperties(path: string, text: string): MetaProperties {
  const values = new Map<string, string>()
  for (const line of text.split(/\r?\n/)) {
    const match = /^\s*([^#!\s=:]+)\s*[=:]\s*(.*?)\s*$/.exec(line)
    if (match) values.set(match[1], match[2])
  }
  const version = values.get('version')
  if (version !== '0')
    throw new CorruptFileError(
      path,
      0,
      version === undefined ? 'it names no version' : `version ${version}; a broker in ZooKeeper mode has version 0 (version 1 is a KRaft broker's: use another log directory)`,
    )
  const id = values.get('broker.id')
  if (id !== undefined && !/^\d{1,10}$/.test(id)) throw new CorruptFileError(path, 0, `broker.id is '${id}'`)
  return { brokerId: id === undefined ? undefined : Number(id), clusterId: values.get('cluster.id') }
}

export function metaPropertiesText({ brokerId, clusterId, now }: { brokerId: number; clusterId: string; now: number }): string {
  return `#\n#${javaDate(now)}\nbroker.id=${brokerId}\nversion=0\ncluster.id=${clusterId}\n`
}
/** As java.util.Properties dates its files: `Sat Nov 21 04:20:41 UTC 2026`. */
function javaDate(ms: number): string {
  const [, day, date, month, year, time] = /^(\w+), (\d+) (\w+) (\d+) ([\d:]+)/.exec(utcText(ms)) ?? []
  return `${day} ${month} ${date} ${time} UTC ${year}`
}
const days = ['Thu', 'Fri', 'Sat', 'Sun', 'Mon', 'Tue', 'Wed']
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
/** `Sat, 21 Nov 2026 04:20:41`; civil date by days since 1970 (Gregorian, proleptic). */
function utcText(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const dayCount = Math.floor(seconds / 86_400)
  const rest = seconds - dayCount * 86_400
  const shifted = dayCount + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor((dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365)
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const monthIndex = Math.floor((5 * dayOfYear + 2) / 153)
  const date = dayOfYear - Math.floor((153 * monthIndex + 2) / 5) + 1
  const month = monthIndex < 10 ? monthIndex + 2 : monthIndex - 10
  const year = yearOfEra + era * 400 + (month < 2 ? 1 : 0)
  const two = (value: number): string => String(value).padStart(2, '0')
  return `${days[((dayCount % 7) + 7) % 7]}, ${two(date)} ${months[month]} ${year} ${two(Math.floor(rest / 3600))}:${two(Math.floor(rest / 60) % 60)}:${two(rest % 60)}`
}
