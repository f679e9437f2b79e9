/** Figures of several runs of both makers, and the table of them: medians, low to high, ratio. */
import { median } from './bench-processes.js'

export class Figures {
  all = {}
  /** One more run of a figure; `better` says which way it is meant. */
  note(name, unit, maker, value, better = 'less') {
    const figure = (this.all[name] ??= { unit, better })
    ;(figure[maker] ??= []).push(value)
    process.stderr.write(`  ${maker} ${name}: ${digits(value)} ${unit}\n`)
  }
  table(title) {
    const hasApache = Object.values(this.all).some(({ apache }) => apache)
    const both = (values) => (values ? `${digits(median(values))} (${digits(Math.min(...values))}–${digits(Math.max(...values))})` : '')
    const lines = Object.entries(this.all).map(([name, { unit, better, ottla, apache }]) => {
      const ratio = apache && ottla && median(apache) > 0 ? `${(median(ottla) / median(apache)).toFixed(2)}${better === 'less' ? ' (less is better)' : ''}` : ''
      return `| ${name}${unit ? `, ${unit}` : ''} | ${both(ottla)} |${hasApache ? ` ${both(apache)} | ${ratio} |` : ''}`
    })
    return `| ${title} | Ottla |${hasApache ? ' Apache | ratio |' : ''}\n| --- | --: |${hasApache ? ' --: | --: |' : ''}\n${lines.join('\n')}`
  }
}
const digits = (value) => (value === 0 ? '0' : value < 10 ? value.toPrecision(3) : Math.round(value).toLocaleString('en'))
