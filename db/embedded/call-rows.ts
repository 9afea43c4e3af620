import { Buffer } from 'node:buffer'
import { CALL_COLUMNS, COUNTER_COLUMNS } from '../model/call-columns.ts'

type Fields = Readonly<Record<string, unknown>>

export interface PackedCalls {
  /** PostgreSQL's binary COPY format, columns as in CALL_COLUMNS. */
  readonly bytes: Uint8Array
  readonly rows: number
  /** JSON array of what these rows add to usage_hourly. */
  readonly hourlyJson: string
}

const SIGNATURE = Buffer.from('PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0', 'latin1')
/** PostgreSQL counts from 2000-01-01. */
const EPOCH_MS = 946_684_800_000
const HOUR_MS = 3_600_000
const INT_MAX = 2_147_483_647
/** A row without its texts: two bytes, then at most 12 a column. */
const FIXED_BYTES = 2 + CALL_COLUMNS.length * 12

let buffer = Buffer.allocUnsafeSlow(1 << 20)
let at = 0

/** @returns null when some value isn't what its column takes: SQL then finds out which, and says why. */
export function packCalls(callsJson: string): PackedCalls | null {
  const records: unknown = JSON.parse(callsJson)
  if (!Array.isArray(records)) return null
  // A NUL can only come in by its escape; whole texts without one need no looking at each string.
  const dirty = callsJson.includes('\\u0000')
  const hours = new Map<string, Hour>()
  at = SIGNATURE.copy(buffer)
  for (const record of records as unknown[]) {
    if (!isFields(record) || !isFields(record.usage) || !packRow(record, record.usage, dirty)) return null
    addHour(hours, record, record.usage)
  }
  reserve(2)
  at = buffer.writeInt16BE(-1, at)
  return {
    bytes: buffer.subarray(0, at),
    rows: records.length,
    hourlyJson: JSON.stringify(Array.from(hours.values(), ({ cost, ...sums }) => ({ ...sums, cost_pico: `${cost}` }))),
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
}

function packRow(record: Fields, usage: Fields, dirty: boolean): boolean {
  reserve(FIXED_BYTES)
  at = buffer.writeInt16BE(CALL_COLUMNS.length, at)
  for (const { field, counter, type } of CALL_COLUMNS) {
    const value = counter ? usage[field] : record[field]
    if (value === null || value === undefined) {
      reserve(4)
      at = buffer.writeInt32BE(-1, at)
    } else if (type === 'text') {
      if (typeof value !== 'string') return false
      packText(dirty ? value.replaceAll('\0', '') : value)
    } else if (type === 'boolean') {
      if (typeof value !== 'boolean') return false
      reserve(5)
      at = buffer.writeInt32BE(1, at)
      buffer[at++] = value ? 1 : 0
    } else {
      if (typeof value !== 'number' || !packNumber(value, type)) return false
    }
  }
  return true
}

function packText(text: string): void {
  // UTF-8 takes at most three bytes for each unit; a lone surrogate becomes U+FFFD.
  reserve(4 + text.length * 3)
  const bytes = buffer.write(text, at + 4, 'utf8')
  buffer.writeInt32BE(bytes, at)
  at += 4 + bytes
}

function packNumber(value: number, type: 'time' | 'bigint' | 'int'): boolean {
  reserve(12)
  if (type === 'int') {
    if (!Number.isInteger(value) || value > INT_MAX || value < -INT_MAX) return false
    at = buffer.writeInt32BE(4, at)
    at = buffer.writeInt32BE(value, at)
    return true
  }
  const whole = type === 'time' ? (value - EPOCH_MS) * 1000 : value
  if (!Number.isSafeInteger(whole)) return false
  const high = Math.floor(whole / 4_294_967_296)
  at = buffer.writeInt32BE(8, at)
  at = buffer.writeInt32BE(high, at)
  at = buffer.writeUInt32BE(whole - high * 4_294_967_296, at)
  return true
}

interface Hour {
  cost: bigint
  requests: number
  errors: number
  latency_us: number
  [column: string]: string | number | bigint
}

/** Values were checked by packRow; texts may still carry NULs, which JSON to SQL would refuse. */
function addHour(hours: Map<string, Hour>, record: Fields, usage: Fields): void {
  const hour_ms = Math.floor((record.createdAtMs as number) / HOUR_MS) * HOUR_MS
  const { organizationId, projectId, keyId } = record
  const provider = record.provider ?? ''
  const model = record.model ?? ''
  const key = `${hour_ms}\0${organizationId}\0${projectId}\0${keyId}\0${provider}\0${model}`
  let hour = hours.get(key)
  if (hour === undefined) {
    hour = { cost: 0n, requests: 0, errors: 0, latency_us: 0, hour_ms, ...dimensions() }
    for (const { column } of COUNTER_COLUMNS) hour[column] = 0
    hours.set(key, hour)
  }
  hour.requests++
  if (record.outcome === 'error' || record.outcome === 'cut') hour.errors++
  hour.latency_us += record.latencyUs as number
  if (typeof record.costPico === 'number') hour.cost += BigInt(record.costPico)
  for (const { column, field } of COUNTER_COLUMNS) hour[column] = (hour[column] as number) + (usage[field] as number)

  function dimensions(): Record<string, string> {
    const clean = (value: unknown): string =>
      String(value)
        .replaceAll('\0', '')
        .replace(/\p{Cs}/gu, '\ufffd')
    return {
      organization_id: clean(organizationId),
      project_id: clean(projectId),
      key_id: clean(keyId),
      provider: clean(provider),
      model: clean(model),
    }
  }
}
