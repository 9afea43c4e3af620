import { describe, expect, it } from 'vitest'
import { createSseReader, type SseEvent } from '../../web/data.ts'

const encoder = new TextEncoder()

function readAll(chunks: readonly Uint8Array[]): SseEvent[] {
  const read = createSseReader()
  return chunks.flatMap((chunk) => read(chunk))
}

const message = (data: string): SseEvent => ({ event: 'message', data })

describe('the SSE reader', () => {
  const stream = [
    ': a comment\n\n',
    'data: {"text":"Grüße, 你好, 👋"}\n\n',
    'event: error\r\nid: 7\r\nretry: 10\r\ndata: one\r\ndata:two\r\n\r\n',
    'data\rdata:  kept\r\r',
    ':\n\ndata: a: b\n\n',
    'event: nothing\n\n',
    'data: [DONE]\n\n',
  ].join('')
  const expected = [
    message('{"text":"Grüße, 你好, 👋"}'),
    { event: 'error', data: 'one\ntwo' },
    message('\n kept'),
    message('a: b'),
    message('[DONE]'),
  ]
  const bytes = encoder.encode(stream)

  it('reads every field, line end and comment of a stream in one piece', () => {
    expect(readAll([bytes])).toEqual(expected)
  })

  it('reads the same when the bytes are cut in two at any place', () => {
    for (let at = 0; at <= bytes.length; at++)
      expect(readAll([bytes.subarray(0, at), bytes.subarray(at)]), `cut at byte ${at}`).toEqual(expected)
  })

  it('reads the same byte by byte', () => {
    expect(readAll(Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)))).toEqual(expected)
  })

  it('hands an event out with the byte that ends it, not later', () => {
    const read = createSseReader()
    expect(read(encoder.encode('data: a\n'))).toEqual([])
    expect(read(encoder.encode('\n'))).toEqual([message('a')])
    expect(read(encoder.encode('data: b\r\n\r'))).toEqual([message('b')])
    expect(read(encoder.encode('\ndata: c\n\n'))).toEqual([message('c')])
  })

  it('drops a frame that the stream ends inside of', () => {
    expect(readAll([encoder.encode('data: a\n\ndata: b\n')])).toEqual([message('a')])
  })

  it('passes over a byte order mark', () => {
    expect(readAll([Uint8Array.of(0xef, 0xbb, 0xbf), encoder.encode('data: a\n\n')])).toEqual([message('a')])
  })
})
