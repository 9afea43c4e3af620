import { Buffer } from 'node:buffer'
import { createHash, createHmac } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { providerOf } from '../../server/providers/index.ts'
import { awsCredentials, signV4 } from '../../server/providers/sigv4.ts'
import type { UpstreamRequest } from '../../server/upstream.ts'

/** AWS's published test suite: its keys and its moment. */
const ID = 'AKIDEXAMPLE'
const SECRET = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
const NOW_MS = Date.parse('2015-08-30T12:36:00Z')
const DATE = '20150830T123600Z'

const sha256 = (data: string | Uint8Array) => createHash('sha256').update(data).digest('hex')
const hmac = (key: string | Uint8Array, data: string) => createHmac('sha256', key).update(data).digest()

interface Signing {
  readonly method: string
  /** As sent, percent-encoded once. */
  readonly path: string
  readonly query: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | Uint8Array
  readonly region: string
  readonly service: string
}

/** Signature Version 4, written from its description and apart from what it judges. */
function authorization(signing: Signing): string {
  const { method, path, query, headers, body, region, service } = signing
  const names = Object.keys(headers).sort()
  const encode = (text: string) =>
    encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
  const canonical = [
    method,
    path.split('/').map(encode).join('/'),
    query,
    ...names.map((name) => `${name}:${headers[name]}`),
    '',
    names.join(';'),
    sha256(body),
  ].join('\n')
  const scope = `${DATE.slice(0, 8)}/${region}/${service}/aws4_request`
  const key = [region, service, 'aws4_request'].reduce<Uint8Array>(
    (from, part) => hmac(from, part),
    hmac(`AWS4${SECRET}`, DATE.slice(0, 8)),
  )
  const signature = hmac(key, `AWS4-HMAC-SHA256\n${DATE}\n${scope}\n${sha256(canonical)}`).toString('hex')
  return `AWS4-HMAC-SHA256 Credential=${ID}/${scope}, SignedHeaders=${names.join(';')}, Signature=${signature}`
}

function request(
  path: string,
  body: string,
  origin = 'https://bedrock-runtime.eu-west-1.amazonaws.com',
): UpstreamRequest {
  const headers = ['content-type', 'application/json', 'user-agent', 'watchllm']
  return { origin, path, method: 'POST', headers, body: Buffer.from(body) }
}

function pairs(list: readonly string[]): Record<string, string> {
  return Object.fromEntries(list.flatMap((name, at) => (at % 2 === 0 ? [[name, list[at + 1]!]] : [])))
}

describe('the judge', () => {
  it('agrees with AWS’s published signature of get-vanilla', () => {
    const signed = authorization({
      method: 'GET',
      path: '/',
      query: '',
      headers: { host: 'example.amazonaws.com', 'x-amz-date': DATE },
      body: '',
      region: 'us-east-1',
      service: 'service',
    })
    expect(signed).toContain('Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31')
  })
})

describe('signV4()', () => {
  it('gives AWS’s published headers for get-vanilla', () => {
    const vanilla = {
      origin: 'https://example.amazonaws.com',
      path: '/',
      method: 'GET',
      headers: [],
      body: null,
    } as const
    expect(signV4(vanilla, { accessKeyId: ID, secretAccessKey: SECRET }, 'service', NOW_MS)).toEqual([
      'x-amz-date',
      DATE,
      'authorization',
      `AWS4-HMAC-SHA256 Credential=${ID}/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, ` +
        'Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
    ])
  })
})

describe('bedrock', () => {
  const bedrock = providerOf('bedrock')!
  const key = `AKIAIOSFODNN7EXAMPLE:${SECRET}`
  const models = [
    'anthropic.claude-3-haiku-20240307-v1:0',
    'arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/otnfa2ysixqd',
    "a model with 'signs' (!*) é ~ and + 100%",
  ]
  const bodies = ['', '{"messages":[]}', `{"text":"${'é👋'.repeat(1000)}"}`]
  const origins = [
    ['https://bedrock-runtime.us-east-1.amazonaws.com', 'us-east-1'],
    ['https://bedrock-runtime-fips.us-gov-west-1.amazonaws.com', 'us-gov-west-1'],
    ['https://vpce-0a1b.bedrock-runtime.ap-southeast-2.vpce.amazonaws.com', 'ap-southeast-2'],
    ['http://127.0.0.1:8080', 'us-east-1'],
  ] as const
  const cases = models.flatMap((model) =>
    bodies.flatMap((body) => origins.map(([origin, region]) => ({ model, body, origin, region }))),
  )

  it.each(cases)('signs $model at $origin so that the judge agrees', ({ model, body, origin, region }) => {
    const path = `/model/${encodeURIComponent(model)}/invoke-with-response-stream`
    const headers = pairs(bedrock.sign!(request(path, body, origin), `${ID.padEnd(16, '0')}:${SECRET}`, NOW_MS))
    const wanted = authorization({
      method: 'POST',
      path,
      query: '',
      headers: { host: new URL(origin).host, 'x-amz-date': DATE },
      body,
      region,
      service: 'bedrock',
    })
    expect(headers).toEqual({ 'x-amz-date': DATE, authorization: wanted.replace(ID, ID.padEnd(16, '0')) })
  })

  it('sends and signs a session token', () => {
    const signed = pairs(bedrock.sign!(request('/model/m/invoke', '{}'), `${key}:IQoJ/token=:with+signs`, NOW_MS))
    expect(signed['x-amz-security-token']).toBe('IQoJ/token=:with+signs')
    expect(signed.authorization).toContain('SignedHeaders=host;x-amz-date;x-amz-security-token,')
    expect(signed).not.toEqual(pairs(bedrock.sign!(request('/model/m/invoke', '{}'), key, NOW_MS)))
  })

  it('takes a Bedrock API key as a bearer token and signs nothing', () => {
    for (const token of ['ABSKQmVkcm9ja0FQSUtleS0xMjM0', 'bedrock-api-key-YWJj', 'short']) {
      expect(bedrock.auth(token)).toEqual(['authorization', `Bearer ${token}`])
      expect(bedrock.sign!(request('/model/m/invoke', '{}'), token, NOW_MS)).toEqual([])
    }
  })

  it('never sends AWS’s own keys', () => {
    expect(bedrock.auth(key)).toEqual([])
    expect(bedrock.sign!(request('/model/m/invoke', '{}'), key, NOW_MS).join()).not.toContain(SECRET)
  })
})

describe('awsCredentials()', () => {
  it.each(['', ':', 'AKIAIOSFODNN7EXAMPLE', 'AKIAIOSFODNN7EXAMPLE:', 'akiaiosfodnn7example:secret', 'AKIA:secret'])(
    'knows that "%s" is none',
    (text) => {
      expect(awsCredentials(text)).toBeNull()
    },
  )
})
