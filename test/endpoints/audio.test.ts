import type OpenAI from 'openai'
import { toFile } from 'openai'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { post, TEST_KEY } from '../helpers/app.ts'
import { json, sse } from '../helpers/upstream-answers.ts'
import { answer } from '../helpers/upstream-plan.ts'
import { openBench, SDKS, type SdkBench } from '../sdk/kit.ts'

let bench: SdkBench
let client: OpenAI
beforeEach(async () => {
  bench = await openBench()
  client = bench.client(SDKS[0])
})
afterEach(() => bench.close())

const SPEECH = '/v1/audio/speech'
const TRANSCRIPTIONS = '/v1/audio/transcriptions'
/** An MP3's first frame header and every byte there is. */
const SOUND = Buffer.concat([
  Buffer.from([0xff, 0xfb, 0x90, 0x64]),
  Buffer.from(Array.from({ length: 256 }, (_, at) => at)),
])

/** A tenth of a second of a tone, as a real file. */
function wav(): Buffer {
  const samples = 800
  const file = Buffer.alloc(44 + samples * 2)
  file.write('RIFF', 0)
  file.writeUInt32LE(36 + samples * 2, 4)
  file.write('WAVEfmt ', 8)
  file.writeUInt32LE(16, 16)
  file.writeUInt16LE(1, 20)
  file.writeUInt16LE(1, 22)
  file.writeUInt32LE(8000, 24)
  file.writeUInt32LE(16_000, 28)
  file.writeUInt16LE(2, 32)
  file.writeUInt16LE(16, 34)
  file.write('data', 36)
  file.writeUInt32LE(samples * 2, 40)
  for (let at = 0; at < samples; at++) file.writeInt16LE(Math.round(9000 * Math.sin(at / 3)), 44 + at * 2)
  return file
}

function form(parts: Record<string, string | Blob>, headers: Record<string, string> = {}): Request {
  const body = new FormData()
  for (const [name, value] of Object.entries(parts)) body.append(name, value as Blob)
  const authorization = post('/', {}, headers).headers.get('authorization')!
  return new Request(`http://gateway.test${TRANSCRIPTIONS}`, { method: 'POST', body, headers: { authorization } })
}

const file = new Blob([wav() as Uint8Array<ArrayBuffer>], { type: 'audio/wav' })

describe('sound that no provider is asked for', () => {
  it.each([
    ['speech without a model', post(SPEECH, { input: 'Hi', voice: 'alloy' }), 400, 'model'],
    ['a form without a model', form({ file }), 400, 'model'],
    ['a form whose model is a file', form({ file, model: new Blob(['whisper-1']) }), 400, 'model'],
    [
      'a broken form',
      post(TRANSCRIPTIONS, '--b\r\nhalf', { 'content-type': 'multipart/form-data; boundary=b' }),
      400,
      null,
    ],
    ['a form without boundary', post(TRANSCRIPTIONS, 'x', { 'content-type': 'multipart/form-data' }), 400, null],
    ['a provider that hears nothing', post('/v1/xai/audio/transcriptions', { model: 'm' }), 400, 'model'],
    ['a test key', form({ file, model: 'whisper-1' }, { authorization: `Bearer ${TEST_KEY}` }), 400, 'model'],
    ['a file too large', form({ model: 'whisper-1', file: new Blob([new Uint8Array(33 * 1024 * 1024)]) }), 413, null],
  ])('is refused: %s', async (_, request, status, param) => {
    const response = await bench.app.fetch(request)
    const { error } = (await response.json()) as { error: { param: string | null } }
    expect([response.status, error.param]).toEqual([status, param])
    expect(bench.upstream.requests).toHaveLength(0)
  })
})

describe('speech', () => {
  it('is the sound that the provider made, byte for byte, and unpriced', async () => {
    bench.upstream.script(answer({ headers: { 'content-type': 'audio/mpeg' }, body: SOUND }))
    const response = await client.audio.speech.create({ model: 'gpt-4o-mini-tts', voice: 'alloy', input: 'Hi' })
    expect(Buffer.from(await response.arrayBuffer())).toEqual(SOUND)
    expect(response.headers.get('content-type')).toBe('audio/mpeg')
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    const request = await bench.upstream.next()
    expect([request.path, request.headers.accept]).toEqual(['/v1/audio/speech', '*/*'])
    expect(await bench.app.settled(1)).toMatchObject({
      endpoint: 'audio.speech',
      outcome: 'done',
      costPico: null,
      usageSource: 'none',
    })
  })

  it('as a stream of events has its tokens on the bill', async () => {
    const frames =
      'data: {"type":"speech.audio.delta","audio":"AAAA"}\n\n' +
      'data: {"type":"speech.audio.done","usage":{"input_tokens":14,"output_tokens":101,"total_tokens":115}}\n\n'
    bench.upstream.script(sse(frames))
    const response = await bench.app.fetch(
      post(SPEECH, { model: 'gpt-4o-mini-tts', voice: 'alloy', input: 'Hi', stream_format: 'sse' }),
    )
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    expect(await response.text()).toBe(frames)
    const record = await bench.app.settled(1)
    expect(record).toMatchObject({ outcome: 'done', usage: { input: 14, audioOutput: 101 } })
    expect(record.costPico).toBeGreaterThan(0)
  })
})

describe('transcriptions', () => {
  it.each([
    [
      'tokens',
      {
        type: 'tokens',
        input_tokens: 14,
        input_token_details: { text_tokens: 4, audio_tokens: 10 },
        output_tokens: 5,
        total_tokens: 19,
      },
      'provider',
    ],
    ['duration', { type: 'duration', seconds: 1 }, 'none'],
  ])('of a real file are what the provider heard, by %s', async (_, usage, usageSource) => {
    bench.upstream.script(json({ text: 'Ein Ton, ä', usage }))
    const given = await client.audio.transcriptions.create({
      file: await toFile(wav(), 'tone.wav', { type: 'audio/wav' }),
      model: 'openai/gpt-4o-transcribe',
      language: 'de',
    })
    expect(given).toMatchObject({ text: 'Ein Ton, ä', usage })
    const request = await bench.upstream.next()
    const sent = await new Response(request.body as Uint8Array<ArrayBuffer>, {
      headers: { 'content-type': request.headers['content-type']! },
    }).formData()
    expect([sent.get('model'), sent.get('language')]).toEqual(['gpt-4o-transcribe', 'de'])
    expect(Buffer.from(await (sent.get('file') as File).arrayBuffer())).toEqual(wav())
    const record = await bench.app.settled(1)
    expect(record).toMatchObject({ endpoint: 'audio.transcriptions', model: 'gpt-4o-transcribe', usageSource })
    if (usageSource === 'provider') expect(record.costPico).toBeGreaterThan(0)
    else expect(record.costPico).toBeNull()
  })

  it.each(['text', 'srt', 'vtt'] as const)('in %s come as they are', async (response_format) => {
    const text = '1\n00:00:00,000 --> 00:00:01,000\nHällo\n'
    bench.upstream.script(answer({ headers: { 'content-type': 'text/plain; charset=utf-8' }, body: text }))
    const given = await client.audio.transcriptions.create({
      file: await toFile(wav(), 'tone.wav'),
      model: 'whisper-1',
      response_format,
    })
    expect(given).toBe(text)
    expect(await bench.app.settled(1)).toMatchObject({ outcome: 'done', costPico: null })
  })

  it('stream to the SDK as the provider hears', async () => {
    bench.upstream.script(
      sse(
        'data: {"type":"transcript.text.delta","delta":"Ein"}\n\n' +
          'data: {"type":"transcript.text.done","text":"Ein","usage":{"type":"tokens","input_tokens":10,"input_token_details":{"audio_tokens":10,"text_tokens":0},"output_tokens":2,"total_tokens":12}}\n\n' +
          'data: [DONE]\n\n',
        { split: 'bytes' },
      ),
    )
    const stream = await client.audio.transcriptions.create({
      file: await toFile(wav(), 'tone.wav'),
      model: 'gpt-4o-transcribe',
      stream: true,
    })
    const types: string[] = []
    for await (const event of stream) types.push(event.type)
    expect(types).toEqual(['transcript.text.delta', 'transcript.text.done'])
    expect(await bench.app.settled(1)).toMatchObject({ stream: true, usage: { audioInput: 10, output: 2 } })
  })

  it('go to the provider of the path in the words of its SDK', async () => {
    bench.upstream.script(json({ text: 'a' }))
    const { status } = await bench.app.fetch(
      new Request(
        'http://gateway.test/v1/mistral/v1/audio/transcriptions',
        form({ file, model: 'voxtral-mini-latest' }),
      ),
    )
    expect(status).toBe(200)
    expect((await bench.upstream.next()).path).toBe('/v1/audio/transcriptions')
    expect(await bench.app.settled(1)).toMatchObject({ provider: 'mistral', model: 'voxtral-mini-latest' })
  })

  it('are translated at their own path', async () => {
    bench.upstream.script(json({ text: 'A tone' }))
    const given = await client.audio.translations.create({ file: await toFile(wav(), 'a.wav'), model: 'whisper-1' })
    expect(given.text).toBe('A tone')
    expect((await bench.upstream.next()).path).toBe('/v1/audio/translations')
  })
})
