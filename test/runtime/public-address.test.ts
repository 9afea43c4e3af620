import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import type { AllowedHosts } from '../../server/config.ts'
import { HostRefused, hostGuard, isPublicAddress } from '../../server/runtime/public-address.ts'
import { socketUpstream } from '../../server/runtime/upstream-socket.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'

const NOTHING: AllowedHosts = { hosts: [], ranges: [] }

/** Of each range that isn't public: its first address, its last, and one between. */
const RANGES_4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['168.63.129.16', 32],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const

const PRIVATE_4 = RANGES_4.flatMap(([first, prefix]) => {
  const from = numberOf(first)
  const size = 2 ** (32 - prefix)
  return [from, from + Math.floor(size / 2), from + size - 1].map(textOf)
})
/** The neighbours of those ranges that the world can reach. */
const PUBLIC_4 = ['9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.1']
const MORE_PUBLIC_4 = ['169.253.255.255', '172.15.255.255', '172.32.0.0', '192.167.255.255', '192.169.0.0', '8.8.8.8']
const ALL_PUBLIC_4 = [...PUBLIC_4, ...MORE_PUBLIC_4, '223.255.255.255', '198.17.255.255', '198.20.0.0', '1.1.1.1']

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
}

function textOf(number: number): string {
  return [24, 16, 8, 0].map((bits) => Math.floor(number / 2 ** bits) % 256).join('.')
}

/** The ways to carry an IPv4 address in one of IPv6. */
function carriers(address: string): string[] {
  const hex = numberOf(address).toString(16).padStart(8, '0')
  const [high, low] = [hex.slice(0, 4), hex.slice(4)]
  const flipped = (numberOf(address) ^ 0xffffffff) >>> 0
  const client = flipped.toString(16).padStart(8, '0')
  return [
    `::ffff:${address}`,
    `::ffff:${high}:${low}`,
    `::${high}:${low}`,
    `::ffff:0:${high}:${low}`,
    `64:ff9b::${high}:${low}`,
    `64:ff9b:1::${high}:${low}`,
    `2002:${high}:${low}::1`,
    `2001:0:4136:e378:8000:63bf:${client.slice(0, 4)}:${client.slice(4)}`,
  ]
}

const PRIVATE_6 = ['::', '::1', 'fc00::1', 'fd00:ec2::254', 'fdff:ffff::1', 'fe80::1', 'febf::1', 'fec0::1']
const MORE_PRIVATE_6 = ['ff02::1', '2001:db8::1', '100::1', '3fff::1', '4000::1', '1fff::1', 'fe80::1%eth0', '5f00::1']
const PUBLIC_6 = ['2606:4700::1111', '2a00:1450:4001::1', '2001:4860:4860::8888', '2400:cb00::1', '2620:fe::fe']

describe('isPublicAddress()', () => {
  it.each([...PRIVATE_4, ...PRIVATE_6, ...MORE_PRIVATE_6])('says no to %s', (address) => {
    expect(isPublicAddress(address)).toBe(false)
  })

  it.each([...ALL_PUBLIC_4, ...PUBLIC_6])('says yes to %s', (address) => {
    expect(isPublicAddress(address)).toBe(true)
  })

  it('says no to whatever carries a private address of IPv4', () => {
    for (const address of PRIVATE_4.flatMap(carriers))
      expect([address, isPublicAddress(address)]).toEqual([address, false])
  })

  it('says yes to NAT64 of a public address only, the other carriers being out of use', () => {
    for (const address of ALL_PUBLIC_4) {
      const open = carriers(address).filter(isPublicAddress)
      expect(open).toEqual([carriers(address)[4]])
    }
  })

  it('says no to what is no address', () => {
    for (const text of ['', 'localhost', '1.2.3', '1.2.3.4.5', '0x7f000001', '2130706433']) {
      expect(isPublicAddress(text)).toBe(false)
    }
  })
})

describe('the objection to a base URL', () => {
  const guard = hostGuard({ allowed: NOTHING, resolve: async () => ['8.8.8.8'] })

  it.each([
    'https://api.example.com',
    'https://api.example.com/v1',
    'http://a-b.example.com:8080/x/y/',
    'https://1.1.1.1/v1',
  ])('is none for %s', async (url) => expect(await guard.objection(url)).toBeNull())

  it.each(['https://xn--bcher-kva.example', 'https://[2606:4700::1111]/v1', 'HTTPS://API.Example.COM/v1'])(
    'is none for %s',
    async (url) => expect(await guard.objection(url)).toBeNull(),
  )

  const spelled = [
    '2130706433',
    '0x7f000001',
    '0x7f.1',
    '0177.0.0.1',
    '127.1',
    '127.0.0.1.',
    '%31%32%37.0.0.1',
    '①②⑦.0.0.1',
  ]
  const odd = [
    '127。0。0。1',
    'ⓛocalhost',
    'localhost',
    'localhost.',
    'LOCALHOST',
    'a.localhost',
    'redis',
    'db.internal',
  ]
  const named = [
    'metadata.google.internal',
    'printer.local',
    'nas.lan',
    'api.example.com.',
    'api..example.com',
    '-a.example.com',
  ]
  const literal = [
    ...PRIVATE_4,
    '[::1]',
    '[::]',
    '[fd00:ec2::254]',
    '[fe80::1]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
  ]
  it.each([...spelled, ...odd, ...named, ...literal, '[64:ff9b::7f00:1]', '[2002:7f00:1::]'])(
    'is made to the host %s',
    async (host) => {
      for (const url of [`http://${host}/v1`, `https://${host}:8443`])
        expect(await guard.objection(url)).toBeTypeOf('string')
    },
  )

  it.each([
    'ftp://api.example.com',
    'file:///etc/passwd',
    'gopher://api.example.com/x',
    'api.example.com',
    '//api.example.com',
    'https://',
    'https://user@api.example.com',
    'https://user:pass@api.example.com',
    'https://@api.example.com',
    'https://api.example.com?x=1',
    'https://api.example.com/v1?',
    'https://api.example.com#x',
    'https://api.example.com/#',
    'https:\\\\api.example.com',
    'https://api.example.com\\@127.0.0.1',
    'https://api.example.com /v1',
    'https://api.exa\tmple.com',
    'https:///api.example.com',
    'https:api.example.com',
    'https://api.example.com:99999',
    '',
  ])('is made to %j', async (url) => expect(await guard.objection(url)).toBeTypeOf('string'))

  it('tells nothing of where a name leads', async () => {
    const inner = hostGuard({ allowed: NOTHING, resolve: async () => ['10.9.8.7'] })
    expect(await inner.objection('https://api.example.com')).not.toContain('10.9.8.7')
  })

  it.each([[['10.0.0.1']], [['8.8.8.8', '10.0.0.1']], [['8.8.8.8', '::1']], [['::ffff:10.0.0.1']], [[]]])(
    'is made to a name that answers %j',
    async (answers) => {
      const inner = hostGuard({ allowed: NOTHING, resolve: async () => answers })
      expect(await inner.objection('https://api.example.com')).toBeTypeOf('string')
    },
  )

  it('never throws, and always answers, whatever is sent', async () => {
    const text = () => randomBytes(12).toString('latin1')
    for (let i = 0; i < 500; i++) {
      for (const url of [text(), `https://${text()}`, `http://${text()}/v1`]) {
        const objection = await guard.objection(url)
        // The name answers a public address here: what passes must at least be read in one way.
        if (objection === null) expect(new URL(url).hostname).toBe(/^https?:\/\/([^/:]+)/i.exec(url)![1]!.toLowerCase())
      }
    }
  })
})

describe('what the operator allows', () => {
  const range = { address: '10.1.0.0', prefix: 16, family: 'ipv4' } as const
  const allowed: AllowedHosts = {
    hosts: [
      { host: 'localhost', port: null },
      { host: '127.0.0.1', port: 8080 },
      { host: 'llm', port: 443 },
      { host: '::1', port: null },
    ],
    ranges: [range, { address: 'fd12::', prefix: 16, family: 'ipv6' }],
  }
  const names: Record<string, string[]> = { 'in.example.com': ['10.1.2.3'], 'six.example.com': ['fd12::1'] }
  const guard = hostGuard({ allowed, resolve: async (name) => names[name] ?? ['10.2.0.1'] })

  it.each([
    'http://localhost:1234',
    'http://127.0.0.1:8080/v1',
    'https://llm',
    'http://[::1]:9',
    'https://10.1.255.255',
  ])('passes: %s', async (url) => expect(await guard.objection(url)).toBeNull())
  it.each(['https://in.example.com', 'https://six.example.com'])('passes by its range: %s', async (url) =>
    expect(await guard.objection(url)).toBeNull(),
  )
  it.each([
    'http://127.0.0.1',
    'http://127.0.0.1:8081',
    'http://llm:80',
    'https://10.2.0.1',
    'https://out.example.com',
  ])('goes no further: %s', async (url) => expect(await guard.objection(url)).toBeTypeOf('string'))
})

describe('a connection to a host that a tenant chose', () => {
  const open: { close(): Promise<void> }[] = []
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close()
  })

  async function provider(): Promise<ScriptedUpstream> {
    const upstream = await startUpstream()
    open.push(upstream)
    return upstream
  }

  function out(resolve: (name: string) => Promise<string[]>, allowed: AllowedHosts = NOTHING, ca?: string) {
    const guard = hostGuard({ allowed, resolve })
    const upstream = socketUpstream({ connectTimeoutMs: 2_000, guard, ...(ca === undefined ? {} : { ca }) })
    open.push(upstream)
    return (origin: string, publicOnly = true): Promise<number | string> =>
      new Promise((done) => {
        let status = 0
        const request = { origin, path: '/v1', method: 'GET', headers: [], body: null, publicOnly } as const
        upstream.start(request, {
          onHeaders: (code) => {
            status = code
          },
          onData() {},
          onEnd: () => done(status),
          onError: (error) => done(error.message),
        })
      })
  }
  const LOOPBACK: AllowedHosts = { hosts: [], ranges: [{ address: '127.0.0.0', prefix: 8, family: 'ipv4' }] }

  it('goes to the very address that was judged, by the name that was given', async () => {
    const { port, requests } = await provider()
    const call = out(async () => ['127.0.0.1'], LOOPBACK)
    expect(await call(`http://api.example.com:${port}`)).toBe(200)
    expect(requests[0]!.headers.host).toBe(`api.example.com:${port}`)
  })

  it('is refused when the name was public before and is private now', async () => {
    const { port, requests } = await provider()
    const answers = [['8.8.8.8'], ['127.0.0.1']]
    const resolve = async () => answers.shift() ?? ['127.0.0.1']
    const guard = hostGuard({ allowed: NOTHING, resolve })
    expect(await guard.objection(`http://api.example.com:${port}`)).toBeNull()
    const call = out(resolve)
    expect(await call(`http://api.example.com:${port}`)).toContain('not on the public internet')
    expect(requests).toHaveLength(0)
  })

  it('is refused when only one of its addresses is private, and to a literal one', async () => {
    const { port, url, requests } = await provider()
    expect(await out(async () => ['8.8.8.8', '127.0.0.1'])(`http://api.example.com:${port}`)).toContain(
      'not on the public',
    )
    expect(await out(async () => ['8.8.8.8'])(url)).toContain('not on the public')
    expect(requests).toHaveLength(0)
  })

  it('asks for the name again on every new connection, and never in between', async () => {
    const { port, requests } = await provider()
    let asked = 0
    const call = out(async () => {
      asked++
      return asked > 1 ? ['10.0.0.1'] : ['127.0.0.1']
    }, LOOPBACK)
    const origin = `http://api.example.com:${port}`
    expect([await call(origin), await call(origin), asked]).toEqual([200, 200, 1])
    expect(requests.map(({ connection }) => connection)).toEqual([0, 0])
    const both = await Promise.all([call(origin), call(origin)])
    expect(both.filter((one) => one === 200)).toHaveLength(1)
    expect(String(both.find((one) => one !== 200))).toContain('not on the public internet')
  })

  it("never goes over a connection of the operator's own to the same origin", async () => {
    const { url, requests } = await provider()
    const call = out(async () => [], LOOPBACK)
    expect([await call(url, false), await call(url), await call(url, false), await call(url)]).toEqual([
      200, 200, 200, 200,
    ])
    expect(requests.map(({ connection }) => connection)).toEqual([0, 1, 0, 1])
  })

  it('tries the next of several addresses when one does not answer', async () => {
    const { port } = await provider()
    // Nothing listens on this port of the first.
    const call = out(async () => ['127.9.9.9', '127.0.0.1'], LOOPBACK)
    expect(await call(`http://api.example.com:${port}`)).toBe(200)
  })

  it('over TLS holds the certificate against the name, not the address', async () => {
    const pem = (name: string) => readFileSync(new URL(`../fixtures/tls/${name}.pem`, import.meta.url), 'utf8')
    const server = createServer({ cert: pem('cert'), key: pem('key') }, (socket) => {
      socket.on('error', () => {})
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'))
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    open.push({ close: async () => void server.close() })
    const { port } = server.address() as AddressInfo
    const allowed: AllowedHosts = { ...LOOPBACK, hosts: [{ host: 'localhost', port: null }] }
    const call = out(async () => ['127.0.0.1'], allowed, pem('cert'))
    expect(await call(`https://localhost:${port}`)).toBe(200)
    expect(await call(`https://api.example.com:${port}`)).toContain('ALTNAME')
  })

  it('fails where nobody can tell what is public', async () => {
    const { url } = await provider()
    const upstream = socketUpstream({ connectTimeoutMs: 1_000 })
    open.push(upstream)
    const message = await new Promise((done) => {
      const request = { origin: url, path: '/', method: 'GET', headers: [], body: null, publicOnly: true } as const
      upstream.start(request, { onHeaders() {}, onData() {}, onEnd: () => done(null), onError: (e) => done(e.message) })
    })
    expect(message).toContain('Nothing here can tell')
  })

  it('is given up with its name still unanswered', async () => {
    const call = out(() => new Promise(() => {}))
    expect(await call('http://api.example.com')).toContain('No connection within 2000 ms')
  })

  it('throws in words for whoever gave the host', async () => {
    const guard = hostGuard({ allowed: NOTHING, resolve: async () => ['10.0.0.1'] })
    await expect(guard.addressesOf('api.example.com', 443)).rejects.toBeInstanceOf(HostRefused)
  })
})
