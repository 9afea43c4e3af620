/** Milliseconds as people read them: `0 ms`, `0.6 ms`, `812 ms`, `5.84 s`, `60.0 s`. */
export function formatMs(ms: number): string {
  if (ms === 0) return '0 ms'
  if (ms < 9.95) return `${ms.toFixed(1)} ms`
  if (ms < 999.5) return `${Math.round(ms)} ms`
  if (ms < 9_995) return `${(ms / 1000).toFixed(2)} s`
  return `${(ms / 1000).toFixed(1)} s`
}

/** A count with its thousands apart: `1,244`. */
export function formatCount(count: number): string {
  return count.toLocaleString('en-US')
}

/** An amount without an exponent, which it has where JSON carried it as a small number. */
function plainDecimal(usd: string): string {
  return /e/i.test(usd) ? Number(usd).toFixed(15).replace(/0+$/, '') : usd
}

/** How many decimals the finest of these amounts needs, at least six. */
export function digitsOf(amounts: readonly (string | null)[]): number {
  return Math.max(6, ...amounts.map((usd) => (usd === null ? 0 : (plainDecimal(usd).split('.')[1] ?? '').length)))
}

/** A decimal string in USD with at least `digits` decimals, none rounded away: `$0.007388`, `$0.00009045`, `$0`. */
export function formatUsd(usd: string, digits = 6): string {
  const amount = Number(usd)
  if (usd.trim() === '' || !Number.isFinite(amount)) return usd
  if (amount === 0) return '$0'
  const [whole = '0', decimals = ''] = plainDecimal(usd).split('.')
  return `$${whole}.${decimals.padEnd(digits, '0')}`
}

/** A price for a million tokens, in cents or as fine as it is: `$2.00`, `$0.075`. */
export function formatRate(usdPerMillion: string): string {
  const rate = Number(usdPerMillion)
  if (!Number.isFinite(rate)) return usdPerMillion
  if (rate === 0) return '$0'
  const digits = rate.toFixed(6).replace(/0+$/, '').split('.')[1] ?? ''
  return `$${rate.toFixed(Math.max(2, digits.length))}`
}

/** The time of day to the millisecond, 24 h, in the reader's zone: `10:14:52.806`. */
export function formatTime(time: Date): string {
  const parts = { hour: '2-digit', minute: '2-digit', second: '2-digit', fractionalSecondDigits: 3 } as const
  return time.toLocaleTimeString('en-GB', parts)
}

/** A wait in the unit one would say it in, never too short: `1 second`, `45 seconds`, `3 minutes`, `26 hours`. */
export function formatWait(seconds: number): string {
  const [count, unit] =
    seconds <= 120
      ? [Math.ceil(seconds), 'second']
      : seconds <= 7200
        ? [Math.ceil(seconds / 60), 'minute']
        : [Math.ceil(seconds / 3600), 'hour']
  return `${count} ${unit}${count === 1 ? '' : 's'}`
}
