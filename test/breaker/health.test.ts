import { afterEach, describe, expect, it } from 'vitest'
import { allowed, fail, type Instance, instance, MINUTE_MS, mayTry } from './kit.ts'

let opened: Instance[] = []
afterEach(() => {
  for (const one of opened) {
    one.close()
    // Nothing that was waited for is left waiting.
    expect(one.clock.timers).toBe(0)
  }
  opened = []
})

function make(options: Parameters<typeof instance>[0] = {}): Instance {
  const one = instance(options)
  opened.push(one)
  return one
}

describe('who is told', () => {
  const down = { kind: 'provider_down', provider: 'openai' }

  it('of a provider that is down, once, when it opens', () => {
    const one = make()
    fail(one, 2)
    expect(one.raised).toEqual([])
    fail(one, 10)
    expect(one.raised).toEqual([{ ...down, organizationId: null, reason: expect.stringMatching(/^3 calls in a row/) }])
  })

  it('of a key that is refused: whose it is', () => {
    const one = make()
    one.failed('openai', 'env', 'account')
    one.failed('openai', 'crd_1', 'account', { organizationId: 'org_1' })
    expect(one.raised).toEqual([
      { kind: 'credential_refused', organizationId: null, provider: 'openai', credential: 'env' },
      { kind: 'credential_refused', organizationId: 'org_1', provider: 'openai', credential: 'crd_1' },
    ])
  })

  it('of a project’s own account that is down: its organization, and nobody else', () => {
    const one = make()
    for (let i = 0; i < 3; i++) one.failed('openai', 'crd_1', 'late', { organizationId: 'org_1' })
    expect(one.raised).toMatchObject([{ ...down, organizationId: 'org_1' }])
  })

  it('of none that rests', () => {
    const one = make()
    one.failed('openai', 'env', 'overload', { restMs: 5_000 })
    expect(one.raised).toEqual([])
  })
})

describe('what is read', () => {
  it('of an account: what failed, how often, when, and until when it rests', async () => {
    const one = make()
    const fine = { status: 'healthy', consecutiveFailures: 0, lastFailureMs: null, fault: null, restsUntilMs: null }
    expect(await one.accountHealth('openai', 'env')).toEqual(fine)
    one.failed('openai', 'env', 'network')
    one.clock.advance(1_000)
    fail(one, 2)
    const atMs = one.clock.now()
    expect(await one.accountHealth('openai', 'env')).toEqual({
      ...{ status: 'unhealthy', consecutiveFailures: 3, lastFailureMs: atMs, fault: 'provider' },
      restsUntilMs: atMs + 10 * MINUTE_MS,
    })
    one.clock.advance(10 * MINUTE_MS)
    expect(await one.accountHealth('openai', 'env')).toMatchObject({ status: 'unhealthy', restsUntilMs: null })
    await mayTry(one)
    one.succeeded('openai', 'env')
    expect(await one.accountHealth('openai', 'env')).toEqual({ ...fine, lastFailureMs: atMs, fault: 'provider' })
  })

  it('of a provider: it is as healthy as the best of the accounts that are asked about', async () => {
    const one = make()
    fail(one, 4, 'crd_1')
    one.clock.advance(1_000)
    fail(one, 3, 'crd_2')
    const atMs = one.clock.now()
    const down = { status: 'unhealthy', consecutiveFailures: 3, lastFailureMs: atMs }
    expect(await one.health('openai', ['crd_1', 'crd_2'])).toEqual(down)
    expect(await one.health('openai', ['crd_1', 'crd_2', 'env'])).toEqual({
      ...down,
      ...{ status: 'healthy', consecutiveFailures: 0 },
    })
    expect(await one.health('openai', [])).toEqual({ status: 'healthy', consecutiveFailures: 0, lastFailureMs: null })
  })
})

describe('a reset', () => {
  const openSome = (): Instance => {
    const one = make()
    for (const provider of ['openai', 'mistral']) {
      for (const account of ['env', 'crd_1']) one.failed(provider, account, 'account')
      one.failed(provider, 'crd_2', 'overload', { restMs: 30_000 })
    }
    return one
  }
  const openOnes = (one: Instance) =>
    ['openai', 'mistral'].flatMap((provider) =>
      ['env', 'crd_1', 'crd_2'].filter((account) => one.isOpen(provider, account)).map((it) => `${provider}/${it}`),
    )
  const MISTRAL = ['mistral/env', 'mistral/crd_1', 'mistral/crd_2']

  it.each([
    { of: [], left: [] },
    { of: ['openai'], left: MISTRAL },
    { of: ['openai', 'crd_1'], left: ['openai/env', 'openai/crd_2', ...MISTRAL] },
    { of: ['openai', 'crd_2'], left: ['openai/env', 'openai/crd_1', ...MISTRAL] },
    { of: ['nobody'], left: ['openai/env', 'openai/crd_1', 'openai/crd_2', ...MISTRAL] },
  ])('of $of leaves open: $left', ({ of, left }) => {
    const one = openSome()
    one.reset(...of)
    expect(openOnes(one)).toEqual(left)
  })

  it('is no promise: what fails still opens again, at its third failure', async () => {
    const one = make()
    fail(one)
    for (let i = 0; i < 3; i++) {
      one.reset()
      fail(one, 2)
      expect(await mayTry(one)).toBe(true)
      fail(one, 1)
      expect(await mayTry(one)).toBe(false)
    }
    one.clock.advance(10 * MINUTE_MS)
    expect(await allowed([one], 20)).toBe(1)
  })

  it('holds for accounts that nobody knew, and what fails right after it is open', async () => {
    const one = make()
    one.reset()
    one.failed('openai', 'crd_new', 'account')
    expect(await mayTry(one, 'crd_new')).toBe(false)
  })

  it('while a probe is out lets all go, and the probe’s failure counts as one', async () => {
    const one = make()
    fail(one)
    one.clock.advance(10 * MINUTE_MS)
    await mayTry(one)
    one.reset('openai')
    fail(one, 1)
    expect(await allowed([one], 20)).toBe(20)
  })
})
