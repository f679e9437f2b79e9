const days = ['Thu', 'Fri', 'Sat', 'Sun', 'Mon', 'Tue', 'Wed']
const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const secondsOfDay = 86_400

/** A time, ms since 1970, as Java's `Date` prints itself where the zone is UTC: `Fri Nov 20 04:20:11 UTC 2026`. */
export function javaDate(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const day = Math.floor(seconds / secondsOfDay)
  const inDay = seconds - day * secondsOfDay
  const { year, month, date } = civil(day)
  const time = [Math.floor(inDay / 3600), Math.floor(inDay / 60) % 60, inDay % 60].map(two).join(':')
  return `${days[((day % 7) + 7) % 7]} ${months[month]} ${two(date)} ${time} UTC ${year}`
}
/** A day since 1970 in the Gregorian calendar, proleptic: years begin in March, so that the leap day is the last of one; 400 of them are an era. */
function civil(day: number): { year: number; month: number; date: number } {
  const shifted = day + 719_468
  const era = Math.floor(shifted / 146_097)
  const inEra = shifted - era * 146_097
  const yearOfEra = Math.floor((inEra - Math.floor(inEra / 1460) + Math.floor(inEra / 36_524) - Math.floor(inEra / 146_096)) / 365)
  const dayOfYear = inEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const march = Math.floor((5 * dayOfYear + 2) / 153)
  const month = (march + 2) % 12
  return { year: yearOfEra + era * 400 + (month < 2 ? 1 : 0), month, date: dayOfYear - Math.floor((153 * march + 2) / 5) + 1 }
}
const two = (value: number): string => String(value).padStart(2, '0')
