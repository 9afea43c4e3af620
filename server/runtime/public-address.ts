import { lookup } from 'node:dns'
import { BlockList, isIP } from 'node:net'
import type { AllowedHosts } from '../config.ts'
import type { TenantHosts } from '../deps.ts'

/**
 * Keeps base URLs that tenants give from leading into the operator's own networks. A name is judged by all addresses
 * it has at that moment, and whoever connects must use one of those that were judged: a second look-up may answer others.
 */
export interface HostGuard extends TenantHosts {
  /**
   * The addresses to connect to, every one of them public or allowed by the operator.
   * @param hostname as `URL.hostname` has it
   * @throws HostRefused with what is wrong, in words for whoever gave the URL
   */
  addressesOf(hostname: string, port: number): Promise<readonly string[]>
}

/** The host can't be used. Its message is for whoever gave it; it tells no address that a name stands for. */
export class HostRefused extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'HostRefused'
  }
}

/** All addresses of a name. @throws when it has none */
export type Resolve = (hostname: string) => Promise<readonly string[]>

export interface GuardOptions {
  readonly allowed: AllowedHosts
  /** Default: the system's. */
  readonly resolve?: Resolve
}

/** What is never public. @see https://www.iana.org/assignments/iana-ipv4-special-registry */
const NOT_PUBLIC_4 = ranges('ipv4', [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  // Link-local, and where clouds answer about the machine itself.
  '169.254.0.0/16',
  // Azure's own, though public by its number.
  '168.63.129.16/32',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
])
/** All of IPv6 that is given out for the open network: whatever lies outside is refused, mapped addresses too. */
const GLOBAL_6 = ranges('ipv6', ['2000::/3'])
/** Inside of that: Teredo and other protocols, documentation, 6to4. @see IANA's IPv6 special registry */
const NOT_PUBLIC_6 = ranges('ipv6', ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20', '3ffe::/16'])
/** IPv4 as networks without it reach it: as public as the address in its end. */
const NAT64 = ranges('ipv6', ['64:ff9b::/96'])
/** Names of private networks, whatever they resolve to. */
const PRIVATE_NAME = /(?:^|\.)(?:localhost|local|localdomain|internal|intranet|lan|corp|home|home\.arpa)$/
const NAME = /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])$/

export function hostGuard({ allowed, resolve = systemResolve }: GuardOptions): HostGuard {
  const inRange = { ipv4: new BlockList(), ipv6: new BlockList() }
  for (const { address, prefix, family } of allowed.ranges) inRange[family].addSubnet(address, prefix, family)

  function isAllowed(address: string): boolean {
    const family = familyOf(address)
    return family !== null && !address.includes('%') && inRange[family].check(address, family)
  }

  const isNamed = (hostname: string, port: number) =>
    allowed.hosts.some((one) => one.host === hostname && (one.port === null || one.port === port))

  async function addressesOf(hostname: string, port: number): Promise<readonly string[]> {
    const host = hostname.replace(/^\[|\]$/g, '').toLowerCase()
    const trusted = isNamed(host, port)
    const literal = isIP(host) !== 0
    if (!literal && !trusted) refuseName(host)
    const addresses = literal ? [host] : await resolve(host).catch(() => [])
    if (addresses.length === 0) throw new HostRefused(`The host ${host} can not be found`)
    if (trusted || addresses.every((one) => isPublicAddress(one) || isAllowed(one))) return addresses
    throw new HostRefused(`The host ${host} is not on the public internet; ${ASK_OPERATOR}`)
  }

  return {
    addressesOf,
    async objection(baseUrl) {
      try {
        const { hostname, port, protocol } = plainUrl(baseUrl)
        await addressesOf(hostname, Number(port || (protocol === 'http:' ? 80 : 443)))
        return null
      } catch (error) {
        if (error instanceof HostRefused) return error.message
        throw error
      }
    },
  }
}

const ASK_OPERATOR = 'only who runs this gateway can allow it, with WATCHLLM_TENANT_HOSTS'

/** Whether the whole internet can reach an address, rather than a machine, a network or a cloud from within. */
export function isPublicAddress(address: string): boolean {
  const family = familyOf(address)
  if (family === null || address.includes('%')) return false
  if (family === 'ipv4') return !NOT_PUBLIC_4.check(address, 'ipv4')
  if (NAT64.check(address, 'ipv6')) return isPublicAddress(lastFourBytes(address))
  return GLOBAL_6.check(address, 'ipv6') && !NOT_PUBLIC_6.check(address, 'ipv6')
}

/** @throws HostRefused for whatever could be read in two ways */
function plainUrl(text: string): URL {
  const match = /^(https?):\/\/([^/?#\\]+)(\/[^?#\\]*)?$/i.exec(text)
  if (match === null || !URL.canParse(text) || /[^\x21-\x7e]/.test(text)) {
    throw new HostRefused('The base URL must begin with https:// or http:// and have no query and no fragment')
  }
  const written = match[2]!
  if (written.includes('@')) throw new HostRefused('The base URL must not name a user: send the key as "key"')
  const url = new URL(text)
  // 0x7f.1, 2130706433, percent signs and full-width letters all become something else than they look like.
  if (written.replace(/:\d*$/, '').toLowerCase() !== url.hostname) {
    throw new HostRefused(
      'The host of the base URL must be written plainly: names in ASCII (xn--…), addresses in their usual form',
    )
  }
  return url
}

function refuseName(host: string): void {
  if (PRIVATE_NAME.test(host)) throw new HostRefused(`The host ${host} is of a private network; ${ASK_OPERATOR}`)
  if (!NAME.test(host)) {
    throw new HostRefused('The host of the base URL must be a full name with a domain, without a dot at its end')
  }
}

function familyOf(address: string): 'ipv4' | 'ipv6' | null {
  const version = isIP(address)
  return version === 4 ? 'ipv4' : version === 6 ? 'ipv6' : null
}

/** Of an address whose fifth and sixth groups are zero, as IPv4. */
function lastFourBytes(address: string): string {
  const canonical = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [low = '', high = ''] = canonical
    .slice(canonical.indexOf('::') + 2)
    .split(':')
    .reverse()
  const [first, second] = [Number.parseInt(high || '0', 16), Number.parseInt(low || '0', 16)]
  return [first >> 8, first & 255, second >> 8, second & 255].join('.')
}

function ranges(family: 'ipv4' | 'ipv6', list: readonly string[]): BlockList {
  const block = new BlockList()
  for (const one of list) {
    const [address = '', prefix] = one.split('/')
    block.addSubnet(address, Number(prefix), family)
  }
  return block
}

function systemResolve(hostname: string): Promise<readonly string[]> {
  return new Promise((done, fail) => {
    lookup(hostname, { all: true }, (error, found) => {
      if (error === null) done(found.map(({ address }) => address))
      else fail(error)
    })
  })
}
