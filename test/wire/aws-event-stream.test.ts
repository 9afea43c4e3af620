import { Buffer } from 'node:buffer'
import { describe, expect, it } from 'vitest'
import { AwsEventStream, MAX_MESSAGE_BYTES, readAwsMessage } from '../../server/wire/aws-event-stream.ts'
import { AnswerError } from '../../server/wire/wire.ts'
import { chunk, crc, exception, message } from '../helpers/aws-stream.ts'

/** AWS's published vectors of the encoding: checksums and headers are theirs. */
const VECTORS = {
  empty: '000000100000000005c248eb7d98c8ff',
  payload: `0000001d00000000fd528c5a${Buffer.from("{'foo':'bar'}").toString('hex')}c3653936`,
  int32: `0000002d0000001041c424b80a6576656e742d74797065040000a00c${Buffer.from("{'foo':'bar'}").toString('hex')}36f480a0`,
} as const

const fromHex = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))

const EVENTS = [
  '{"type":"message_start","message":{"id":"msg_bdrk_1","usage":{"input_tokens":9}}}',
  '{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Grüße 👋 \\n \\u2028"}}',
  '{"type":"message_stop","amazon-bedrock-invocationMetrics":{"inputTokenCount":9}}',
]
const STREAM = new Uint8Array(Buffer.concat([...EVENTS.map(chunk), exception('throttlingException', 'Too many')]))
const WANTED =
  EVENTS.map((json) => `event: ${JSON.parse(json).type}\ndata: ${json}\n\n`).join('') +
  'event: error\ndata: {"type":"error","error":{"type":"rate_limit_error","message":"Too many"}}\n\n'

function decode(pieces: readonly Uint8Array[]): string {
  const stream = new AwsEventStream()
  const out = pieces.map((piece) => stream.push(piece) ?? new Uint8Array())
  stream.end()
  return Buffer.concat(out).toString()
}

describe('readAwsMessage()', () => {
  it('reads the published vectors', () => {
    expect(readAwsMessage(fromHex(VECTORS.empty))).toEqual({ headers: new Map(), payload: new Uint8Array() })
    const plain = readAwsMessage(fromHex(VECTORS.payload))
    expect([Buffer.from(plain.payload).toString(), plain.headers.size]).toEqual(["{'foo':'bar'}", 0])
    expect(Buffer.from(readAwsMessage(fromHex(VECTORS.int32)).payload).toString()).toBe("{'foo':'bar'}")
  })

  it('keeps headers of text and steps over those of every other type', () => {
    const sizes = [0, 0, 1, 2, 4, 8, 2, 0, 8, 16]
    const others = Object.fromEntries(
      sizes.flatMap((size, type) => (type === 7 ? [] : [[`h${type}`, { type, bytes: Array(size).fill(0) }]])),
    )
    const { headers } = readAwsMessage(message({ first: 'ä', ...others, last: '' }, 'x'))
    expect([...headers]).toEqual([
      ['first', 'ä'],
      ['last', ''],
    ])
  })

  it('refuses a message with any one bit turned over', () => {
    const good = chunk('{"type":"ping"}')
    for (let bit = 0; bit < good.length * 8; bit++) {
      const bad = Uint8Array.from(good)
      bad[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => readAwsMessage(bad), `bit ${bit}`).toThrow(AnswerError)
    }
  })

  it('refuses headers that reach beyond themselves or have an unknown type', () => {
    const long = message({ name: { type: 6, bytes: [0, 9] } }, 'payload of nine')
    const cut = message({ name: { type: 6, bytes: [0] } }, '')
    for (const bad of [long, cut, message({ name: { type: 10, bytes: [] } }, '')]) {
      expect(() => readAwsMessage(bad)).toThrow(/headers can not be read/)
    }
  })
})

describe('AwsEventStream', () => {
  it('gives the same events however the bytes were cut', () => {
    expect(decode([STREAM])).toBe(WANTED)
    expect(decode(Array.from(STREAM, (byte) => Uint8Array.of(byte)))).toBe(WANTED)
    for (let at = 0; at <= STREAM.length; at++) {
      expect(decode([STREAM.subarray(0, at), STREAM.subarray(at)]), `cut at ${at}`).toBe(WANTED)
    }
  })

  it('puts an event on one line even where its JSON was on many, and finds a type that comes later', () => {
    expect(decode([chunk('{\n  "index": 0,\r\n  "type": "content_block_stop"\n}')])).toBe(
      'event: content_block_stop\ndata: {"index":0,"type":"content_block_stop"}\n\n',
    )
  })

  it.each(['\n', '\r', '\r\n'])('puts an event on one line where %j comes behind its type', (end) => {
    expect(decode([chunk(`{"type":"ping",${end}"x":1}`)])).toBe('event: ping\ndata: {"type":"ping","x":1}\n\n')
  })

  it.each([
    ['serviceUnavailableException', 'overloaded_error'],
    ['validationException', 'invalid_request_error'],
    ['modelTimeoutException', 'timeout_error'],
    ['internalServerException', 'api_error'],
    ['modelStreamErrorException', 'api_error'],
  ])('says %s as %s', (name, type) => {
    expect(decode([exception(name, 'why')])).toBe(
      `event: error\ndata: {"type":"error","error":{"type":"${type}","message":"why"}}\n\n`,
    )
  })

  it('says an unmodelled error with its own message', () => {
    const headers = { ':message-type': 'error', ':error-code': 'InternalError', ':error-message': 'Try again' }
    expect(decode([message(headers, '')])).toContain('"message":"Try again"')
  })

  it('passes over events that are no chunk', () => {
    const other = message({ ':event-type': 'initial-response', ':message-type': 'event' }, '{}')
    expect(decode([Buffer.concat([other, chunk('{"type":"ping"}')])])).toBe('event: ping\ndata: {"type":"ping"}\n\n')
  })

  it.each([
    ['another content', Buffer.from('event: ping\ndata: {"type":"ping"}\n\n')],
    ['a chunk without bytes', message({ ':event-type': 'chunk', ':message-type': 'event' }, '{}')],
    ['a chunk without JSON', message({ ':event-type': 'chunk', ':message-type': 'event' }, 'x')],
    ['a chunk without a type', chunk('{"index":0}')],
    ['a chunk that is a list', chunk('[]')],
  ])('refuses %s', (_, bytes) => {
    expect(() => decode([bytes])).toThrow(AnswerError)
  })

  it('refuses a message that says it is longer than any, before it has come', () => {
    const prelude = Buffer.alloc(12)
    prelude.writeUInt32BE(MAX_MESSAGE_BYTES + 1, 0)
    prelude.writeUInt32BE(crc(prelude.subarray(0, 8)), 8)
    expect(() => new AwsEventStream().push(prelude)).toThrow(/exceeds/)
  })

  it('tells an end in the middle of a message, and only there', () => {
    const one = chunk(EVENTS[0]!)
    for (const at of [1, 11, 12, one.length - 1]) {
      expect(() => decode([one.subarray(0, at)]), `cut at ${at}`).toThrow(/middle of a message/)
    }
    expect(() => decode([])).not.toThrow()
  })
})
