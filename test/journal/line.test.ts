import { describe, expect, it } from 'vitest'
import type { CallRecord } from '../../db/model/calls.ts'
import { priceLine, readJournalLine, recordLine } from '../../server/journal/line.ts'
import { Random } from '../helpers/random.ts'
import { call, price } from './kit.ts'

function back(record: CallRecord): CallRecord {
  return JSON.parse(recordLine(record))
}

const TEXTS = [
  '',
  'plain',
  '"quoted"',
  'back\\slash',
  'two\nlines\r',
  'tab\t',
  '\u0001\u001f\u007f\u0080',
  'Grüße',
  '日本',
  '🙂',
  '\u2028',
]

describe('recordLine', () => {
  it('gives one line of ASCII that parses to the record, whatever its texts and numbers', () => {
    const random = new Random(7)
    const text = () => random.pick(TEXTS)
    const textOrNull = () => (random.once(3) ? null : text())
    const count = () => (random.once(2) ? 0 : random.int(2 ** 31))
    for (let i = 0; i < 2_000; i++) {
      const record = call(i, {
        organizationId: text(),
        projectId: text(),
        keyId: random.pick(['key_1', 'key_2', text()]),
        endpoint: text(),
        modelRequested: random.pick(['a', 'b', text()]),
        model: textOrNull(),
        provider: textOrNull(),
        stream: random.once(2),
        status: random.pick([200, 200, 404, 499, 503]),
        outcome: random.pick(['done', 'done', 'error', 'aborted', 'cut']),
        errorCode: textOrNull(),
        usage: {
          input: count(),
          cacheRead: count(),
          cacheWrite5m: count(),
          cacheWrite1h: count(),
          output: count(),
          reasoning: count(),
          audioInput: count(),
          audioOutput: count(),
          imageInput: count(),
          imageOutput: count(),
        },
        usageSource: random.pick(['provider', 'estimated', 'none']),
        priceId: textOrNull(),
        costPico: random.pick([null, 0, 1, Number.MAX_SAFE_INTEGER]),
        chargedPico: random.pick([null, 0, 7, Number.MAX_SAFE_INTEGER]),
        firstByteUs: random.pick([null, 0, 5]),
        attempts: random.pick([0, 1, 1, 3]),
        route: textOrNull(),
        adapted: textOrNull(),
        upstreamId: textOrNull(),
        clientRequestId: textOrNull(),
        endUser: textOrNull(),
        metadata: textOrNull(),
        charge: random.pick([null, '{"a":1}', text()]),
        tries: random.pick([null, '[{"a":1}]', text()]),
      })
      const line = recordLine(record)
      expect(line).toMatch(/^[\x20-\x7e]+\n$/)
      expect(JSON.parse(line)).toEqual(record)
    }
  })

  it('never takes the text of another key, project or model', () => {
    for (let i = 0; i < 2_500; i++) {
      const changes = {
        keyId: `key_${i % 1_300}`,
        projectId: `prj_${i % 7}`,
        modelRequested: `m${i % 1_100}`,
        model: `x${i % 3}`,
      }
      expect(back(call(i, changes))).toMatchObject(changes)
    }
    for (const route of ['a', 'b', null]) expect(back(call(1, { route })).route).toBe(route)
    for (const priceId of ['a', 'b', null]) expect(back(call(1, { priceId })).priceId).toBe(priceId)
  })

  it('replaces what Postgres can not hold: NUL and lone surrogates', () => {
    const metadata = 'a\0b\ud800c\udc00d🙂'
    expect(back(call(1, { metadata })).metadata).toBe('a\ufffdb\ufffdc\ufffdd🙂')
    expect(recordLine(call(1, { metadata }))).not.toMatch(/\\u0000|\\ud800c/)
  })

  it('stays JSON when a number is not finite', () => {
    expect(back(call(1, { latencyUs: Number.NaN }))).toEqual({ ...call(1), latencyUs: null })
    expect(back(call(1, { costPico: Number.POSITIVE_INFINITY, endUser: 'é' }))).toEqual({
      ...call(1, { endUser: 'é' }),
      costPico: null,
    })
  })
})

describe('readJournalLine', () => {
  it('knows records and prices', () => {
    expect(readJournalLine(recordLine(call(3)).trimEnd())).toEqual({
      kind: 'record',
      id: call(3).id,
      createdAtMs: call(3).createdAtMs,
    })
    const cost = { ...price('price_é'), tiers: [{ aboveInput: 200_000, rates: price('x').rates }] }
    expect(readJournalLine(priceLine(cost).trimEnd())).toEqual({ kind: 'price', price: cost })
  })

  it.each([
    'null',
    '1',
    '"x"',
    '[]',
    '{}',
    '{"id":""}',
    '{"id":"req_1"}',
    '{"price":null}',
    '{"price":{}}',
    '\0\0\0',
    '{"id":"a',
  ])('is null for %j', (text) => {
    expect(readJournalLine(text)).toBeNull()
  })
})
