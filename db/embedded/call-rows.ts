import { Buffer } from 'node:buffer'
import { CALL_COLUMNS, COUNTER_COLUMNS } from '../model/call-columns.ts'

type Fields = Readonly<Record<string, unknown>>

export interface PackedCalls {
  /** PostgreSQL's binary COPY format, columns as in CALL_COLUMNS. */
  readonly bytes: Uint8Array
  readonly rows: number
  /** JSON array of what these rows add to usage_hourly. */
  readonly sumsJson: string
  /** JSON array of what organizations pay for these rows; null: nothing. */
  readonly chargedJson: string | null
}

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
/** PostgreSQL counts from 2000-01-01. */
const EPOCH_MS = 946_684_800_000
const HOUR_MS = 3_600_000
const INT_MAX = 2_147_483_647
/** A row without its texts: two bytes, then at most 12 a column. */
const FIXED_BYTES = 2 + CALL_COLUMNS.length * 12

/** Longer texts are left to Buffer, whose call costs as much as this many units written here. */
const SHORT_TEXT = 64

let buffer = Buffer.allocUnsafeSlow(1 << 20)
let view = new DataView(buffer.buffer)
let at = 0

/** @returns null when some value isn't what its column takes: SQL then finds out which, and says why. */
export function packCalls(callsJson: string): PackedCalls | null {
  const records: unknown = JSON.parse(callsJson)
  if (!Array.isArray(records)) return null
  // A NUL can only come in by its escape; whole texts without one need no looking at each string.
  const dirty = callsJson.includes('\\u0000')
  const hours = new Map<string, Hour>()
  const payers = new Map<string, Payer>()
  at = SIGNATURE.copy(buffer)
  for (const record of records as unknown[]) {
    if (!isFields(record) || !isFields(record.usage) || !packRow(record, record.usage, dirty)) return null
    addHour(hours, record, record.usage)
    if (typeof record.chargedPico === 'number' && record.chargedPico > 0) addCharge(payers, record, record.chargedPico)
  }
  reserve(2)
  view.setInt16(at, -1)
  at += 2
  return {
    bytes: buffer.subarray(0, at),
    rows: records.length,
    sumsJson: JSON.stringify(Array.from(hours.values(), hourRow)),
    chargedJson: payers.size === 0 ? null : JSON.stringify(Array.from(payers, payerRow)),
  }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null
}

function reserve(bytes: number): void {
  if (at + bytes <= buffer.length) return
  const larger = Buffer.allocUnsafeSlow(Math.max(buffer.length * 2, at + bytes))
  buffer.copy(larger, 0, 0, at)
  buffer = larger
  view = new DataView(buffer.buffer)
}

function packRow(record: Fields, usage: Fields, dirty: boolean): boolean {
  reserve(FIXED_BYTES)
  view.setInt16(at, CALL_COLUMNS.length)
  at += 2
  for (const { field, counter, type, mayLack } of CALL_COLUMNS) {
    const said = counter ? usage[field] : record[field]
    const value = said === undefined && mayLack === true ? 0 : said
    if (value === null || value === undefined) {
      // Fixed widths come first and are reserved together; a text reserves for itself and for what may follow it.
      view.setInt32(at, -1)
      at += 4
    } else if (type === 'text') {
      if (typeof value !== 'string') return false
      packText(dirty ? value.replaceAll('\0', '') : value)
    } else if (type === 'boolean') {
      if (typeof value !== 'boolean') return false
      view.setInt32(at, 1)
      buffer[at + 4] = value ? 1 : 0
      at += 5
    } else if (typeof value !== 'number' || !packNumber(value, type)) return false
  }
  return true
}

function packText(text: string): void {
  // UTF-8 takes at most three bytes for each unit; a lone surrogate becomes U+FFFD.
  reserve(4 + text.length * 3 + FIXED_BYTES)
  const start = at + 4
  let end = start
  if (text.length <= SHORT_TEXT) {
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 127) break
      buffer[end++] = unit
    }
  }
  if (end - start < text.length) end = start + buffer.write(text, start, 'utf8')
  view.setInt32(at, end - start)
  at = end
}

function packNumber(value: number, type: 'time' | 'bigint' | 'int'): boolean {
  if (type === 'int') {
    if (!Number.isInteger(value) || value > INT_MAX || value < -INT_MAX) return false
    view.setInt32(at, 4)
    view.setInt32(at + 4, value)
    at += 8
    return true
  }
  const whole = type === 'time' ? (value - EPOCH_MS) * 1000 : value
  if (!Number.isSafeInteger(whole)) return false
  const high = Math.floor(whole / 4_294_967_296)
  view.setInt32(at, 8)
  view.setInt32(at + 4, high)
  view.setUint32(at + 8, whole - high * 4_294_967_296)
  at += 12
  return true
}

interface Hour {
  readonly dimensions: Readonly<Record<string, string | number>>
  /** As in COUNTER_COLUMNS. */
  readonly sums: number[]
  cost: bigint
  charged: bigint
  spend: bigint
  platform: bigint
  requests: number
  errors: number
  latencyUs: number
}

/** Values were checked by packRow; texts may still hold what SQL refuses. */
function addHour(hours: Map<string, Hour>, record: Fields, usage: Fields): void {
  const hourMs = Math.floor((record.createdAtMs as number) / HOUR_MS) * HOUR_MS
  const { organizationId, projectId, keyId } = record
  const provider = record.provider ?? ''
  const model = record.model ?? ''
  const key = `${hourMs}\0${organizationId}\0${projectId}\0${keyId}\0${provider}\0${model}`
  let hour = hours.get(key)
  if (hour === undefined) {
    hour = {
      sums: new Array(COUNTER_COLUMNS.length).fill(0),
      cost: 0n,
      charged: 0n,
      spend: 0n,
      platform: 0n,
      requests: 0,
      errors: 0,
      latencyUs: 0,
      dimensions: {
        hour_ms: hourMs,
        organization_id: clean(organizationId),
        project_id: clean(projectId),
        key_id: clean(keyId),
        provider: clean(provider),
        model: clean(model),
      },
    }
    hours.set(key, hour)
  }
  hour.requests++
  if (record.outcome === 'error' || record.outcome === 'cut') hour.errors++
  hour.latencyUs += record.latencyUs as number
  addMoney(hour, record)
  for (let i = 0; i < COUNTER_COLUMNS.length; i++) {
    hour.sums[i] = (hour.sums[i] as number) + ((usage[COUNTER_COLUMNS[i]!.field] ?? 0) as number)
  }
}

/** As INSERT_CALLS in db/stores/calls-sql.ts does. */
function addMoney(hour: Hour, { costPico, chargedPico, charge }: Fields): void {
  const cost = typeof costPico === 'number' ? BigInt(costPico) : 0n
  const charged = typeof chargedPico === 'number' ? BigInt(chargedPico) : null
  hour.cost += cost
  hour.charged += charged ?? 0n
  hour.spend += charged ?? cost
  if (charged !== null || typeof charge !== 'string') hour.platform += cost
}

function clean(text: unknown): string {
  return String(text)
    .replaceAll('\0', '')
    .replace(/\p{Cs}/gu, '\ufffd')
}

function hourRow(hour: Hour): object {
  const counters = COUNTER_COLUMNS.map(({ column }, i) => [column, hour.sums[i]])
  return {
    ...hour.dimensions,
    ...Object.fromEntries(counters),
    requests: hour.requests,
    errors: hour.errors,
    latency_us: hour.latencyUs,
    // As text: JSON numbers of this size would be rounded.
    cost_pico: hour.cost.toString(),
    charged_pico: hour.charged.toString(),
    spend_pico: hour.spend.toString(),
    platform_pico: hour.platform.toString(),
  }
}

interface Payer {
  firstId: string
  lastId: string
  calls: number
  pico: bigint
  untilMs: number
}

/** Ids are compared as the database does it, by bytes: they are ASCII. */
function addCharge(payers: Map<string, Payer>, record: Fields, chargedPico: number): void {
  const id = clean(record.id)
  const createdAtMs = record.createdAtMs as number
  const organizationId = clean(record.organizationId)
  const payer = payers.get(organizationId)
  if (payer === undefined) {
    payers.set(organizationId, { firstId: id, lastId: id, calls: 1, pico: BigInt(chargedPico), untilMs: createdAtMs })
    return
  }
  if (id < payer.firstId) payer.firstId = id
  if (id > payer.lastId) payer.lastId = id
  payer.calls++
  payer.pico += BigInt(chargedPico)
  payer.untilMs = Math.max(payer.untilMs, createdAtMs)
}

function payerRow([organizationId, { firstId, lastId, calls, pico, untilMs }]: [string, Payer]): object {
  const ids = { organization_id: organizationId, first_id: firstId, last_id: lastId }
  return { ...ids, calls, pico: pico.toString(), until_ms: untilMs }
}
