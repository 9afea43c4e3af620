import { credentialContext, DEFAULT_WEIGHT, type SealedCredential } from '../db/model/credentials.ts'
import type { ProviderCredentialStore } from '../db/stores/provider-credentials.ts'
import type { Vault } from '../db/vault.ts'
import { drawerOf } from './affinity.ts'
import type { Config, EnvAccount, Place } from './config.ts'
import type { Account, Accounts, Clock, Log, OpenedCredential, Random, Timer, Weighted } from './deps.ts'

export interface CredentialOptions {
  readonly store: Pick<ProviderCredentialStore, 'load'>
  readonly vault: Vault
  /** What the environment says of accounts, and of where APIs live. */
  readonly config: Pick<Config, 'accounts' | 'places'>
  readonly random: Random
  readonly clock: Clock
  readonly log: Log
}

export interface OpenCredentials {
  /** The platform's: the environment's account at a provider and those that the operator has added, by their weights. */
  readonly platform: Accounts
  /** A project's own, opened now and for good: what is known of them needs no database. @throws when it is away */
  accountsOf(projectId: string): Promise<Accounts>
  accountFor(credential: OpenedCredential): Account | null
  /** Loads the platform's: until then there are those of the environment only. @throws when the database is away */
  load(): Promise<void>
  /** Loads the platform's again; what is known stays in use while the database is away. Never rejects. */
  reload(): Promise<void>
  close(): void
}

/** After this the platform's credentials are asked for again when they couldn't be loaded. */
const RETRY_MS = 5_000

/** Provider credentials in memory, with their keys. */
export function openCredentials(options: CredentialOptions): OpenCredentials {
  const { store, vault, config, clock, log } = options
  const draw = drawerOf(options.random)
  const told = new Set<string>()
  const environment = environmentAccounts(config.accounts)
  let platform: Accounts = accountsFrom(environment, draw)
  let timer: Timer | null = null
  let closed = false
  let asked = 0

  function accountFor(credential: OpenedCredential): Account | null {
    return accountAt(credential, config.places.get(credential.provider) ?? null)
  }

  /** Null when no master secret fits: said once, by its id. */
  function keyOf({ id, sealed }: SealedCredential): string | null {
    try {
      return vault.open(sealed, credentialContext(id))
    } catch (cause) {
      if (!told.has(id)) {
        told.add(id)
        log.error('A provider credential can not be opened: add the master secret it was sealed with', { id, cause })
      }
      return null
    }
  }

  function weighed(rows: readonly SealedCredential[], own: boolean): Weighed[] {
    return rows.map((row) => {
      const key = keyOf(row)
      const account = key === null ? null : accountFor({ ...row, key, own })
      return { provider: row.provider, weight: row.weight, account }
    })
  }

  async function load(): Promise<void> {
    const mine = ++asked
    const rows = await store.load(null)
    // A later question has the fresher answer, whichever comes first.
    if (mine === asked) platform = accountsFrom([...environment, ...weighed(rows, false)], draw)
  }

  async function reload(): Promise<void> {
    timer?.cancel()
    timer = null
    try {
      await load()
    } catch (cause) {
      log.warn("The platform's provider credentials could not be loaded again", { cause })
      if (!closed) timer ??= clock.timer(RETRY_MS, () => void reload())
    }
  }

  return {
    platform: {
      of: (provider) => platform.of(provider),
      all: (provider) => platform.all!(provider),
      isLocked: (provider) => platform.isLocked!(provider),
    },
    accountsOf: async (projectId) => accountsFrom(weighed(await store.load(projectId), true), draw),
    accountFor,
    load,
    reload,
    close() {
      closed = true
      timer?.cancel()
    },
  }
}

/** An account that may be used, or (null) one whose key can't be opened. */
interface Weighed {
  readonly provider: string
  readonly weight: number
  readonly account: Account | null
}

/** Accounts of one provider, and of each the sum of the weights up to and with it. */
interface Pool {
  readonly all: readonly Weighted[]
  readonly bounds: readonly number[]
}

const NONE: readonly Weighted[] = Object.freeze([])

function accountsFrom(all: readonly Weighed[], draw: () => number): Accounts {
  const pools = new Map<string, Pool>()
  for (const provider of new Set(all.map((one) => one.provider))) {
    pools.set(provider, poolOf(all.filter((one) => one.provider === provider)))
  }
  return {
    of(provider) {
      const pool = pools.get(provider)
      if (pool === undefined) return null
      return pool.all.length > 1 ? pick(pool, draw) : (pool.all[0]?.account ?? null)
    },
    all: (provider) => pools.get(provider)?.all ?? NONE,
    isLocked: (provider) => pools.get(provider)?.all.length === 0,
  }
}

/** The first keeps what calls may name, such as files: the others point to it. */
function poolOf(weighed: readonly Weighed[]): Pool {
  const all: Weighted[] = []
  const bounds: number[] = []
  let sum = 0
  for (const { account, weight } of weighed) {
    if (account === null) continue
    const home = all[0]?.account
    all.push({ account: home === undefined ? account : { ...account, home }, weight })
    sum += weight
    bounds.push(sum)
  }
  return { all, bounds }
}

function pick({ all, bounds }: Pool, draw: () => number): Account {
  const at = draw() % bounds[bounds.length - 1]!
  let chosen = 0
  while (bounds[chosen]! <= at) chosen++
  return all[chosen]!.account
}

function environmentAccounts(accounts: ReadonlyMap<string, EnvAccount>): readonly Weighed[] {
  return Array.from(accounts, ([provider, account]) => ({
    provider,
    weight: DEFAULT_WEIGHT,
    account: { id: 'env', own: false, ...account },
  }))
}

/** @param place where the operator says, or everybody knows, that the provider's API lives */
function accountAt({ id, own, key, baseUrl, version }: OpenedCredential, place: Place | null): Account | null {
  const dated = version ?? place?.version ?? null
  const more = { id, own, apiKey: key === '' ? null : key, ...(dated === null ? {} : { version: dated }) }
  if (baseUrl !== null) {
    const { origin, pathname } = new URL(baseUrl)
    return { ...more, origin, basePath: pathname.replace(/\/+$/, ''), ...(own ? { publicOnly: true } : {}) }
  }
  return place === null ? null : { ...more, origin: place.origin, basePath: place.basePath }
}
