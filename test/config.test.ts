import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PLANS } from '../db/model/plans.ts'
import { type Config, ConfigError, type Env, readConfig } from '../server/config.ts'
import { PROVIDERS } from '../server/providers/index.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'watchllm-config-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const read = (env: Env = {}): Config => readConfig(env, PROVIDERS.values())

function file(name: string, content: string): string {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

/** The one line that a bad environment gets. */
function refusal(env: Env): string {
  try {
    read(env)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError)
    return (error as Error).message
  }
  throw new Error(`Accepted: ${JSON.stringify(env)}`)
}

const SECRET = 'sec-ret-value-0123456789'

describe('without any variable', () => {
  it('everything has the default of the contract', () => {
    expect(read()).toEqual({
      host: '127.0.0.1',
      port: 8787,
      publicUrl: null,
      dataDir: resolve('data'),
      databaseUrl: null,
      kv: null,
      secrets: [],
      bootstrapKey: null,
      bootstrapAdmin: null,
      signUp: 'open',
      logins: { github: null, google: null, oidc: null },
      mail: null,
      stripe: null,
      bootstrapPlan: null,
      plans: PLANS,
      prices: null,
      accounts: new Map(),
      places: expect.any(Map),
      tenantHosts: { hosts: [], ranges: [] },
      connectTimeoutMs: 5_000,
      firstByteTimeoutMs: 60_000,
      idleTimeoutMs: 30_000,
      totalTimeoutMs: 600_000,
      retries: 1,
      breaker: 'on',
      maxBodyBytes: 32 * 1024 * 1024,
      journalFsync: 'interval',
      unused: [],
    })
  })

  it('an empty one, or one of spaces, is none', () => {
    const names = ['PORT', 'HOST', 'PUBLIC_URL', 'WATCHLLM_DATA_DIR', 'WATCHLLM_SECRET', 'DATABASE_URL', 'REDIS_URL']
    const more = ['WATCHLLM_BOOTSTRAP_KEY', 'WATCHLLM_BOOTSTRAP_PLAN', 'WATCHLLM_PLANS', 'WATCHLLM_PRICES', 'SMTP_URL']
    const last = [
      'OPENAI_API_KEY',
      'OPENAI_BASE_URL',
      'OLLAMA_BASE_URL',
      'WATCHLLM_IDLE_TIMEOUT_MS',
      'WATCHLLM_MAX_BODY_BYTES',
    ]
    const people = ['WATCHLLM_BOOTSTRAP_ADMIN', 'WATCHLLM_SIGN_UP', 'MAIL_FROM', 'OIDC_ISSUER']
    const clients = ['GITHUB', 'GOOGLE', 'OIDC'].flatMap((party) => [`${party}_CLIENT_ID`, `${party}_CLIENT_SECRET`])
    const kv = ['UPSTASH_REDIS_REST_URL', 'UPSTASH_REDIS_REST_TOKEN']
    const stripe = ['STRIPE_SECRET_KEY', 'STRIPE_WEBHOOK_SECRET', 'STRIPE_API_BASE']
    const all = [...names, ...more, ...last, ...people, ...clients, ...kv, ...stripe, 'WATCHLLM_JOURNAL_FSYNC']
    for (const nothing of ['', '   ', undefined]) {
      expect(read(Object.fromEntries(all.map((name) => [name, nothing])))).toEqual(read())
    }
  })
})

describe('a good value is taken', () => {
  const cases: [env: Env, expected: Partial<Config>][] = [
    [
      { WATCHLLM_TENANT_HOSTS: ' llm.corp, [::1]:8080,10.1.0.0/16 ,LOCALHOST:11434,fd00::/8,127.0.0.1,::1' },
      {
        tenantHosts: {
          hosts: [
            { host: 'llm.corp', port: null },
            { host: '::1', port: 8080 },
            { host: 'localhost', port: 11434 },
            { host: '127.0.0.1', port: null },
            { host: '::1', port: null },
          ],
          ranges: [
            { address: '10.1.0.0', prefix: 16, family: 'ipv4' },
            { address: 'fd00::', prefix: 8, family: 'ipv6' },
          ],
        },
      },
    ],
    [{ PORT: '0' }, { port: 0 }],
    [{ PORT: ' 65535 ' }, { port: 65_535 }],
    [{ HOST: '0.0.0.0' }, { host: '0.0.0.0' }],
    [{ PUBLIC_URL: 'https://gw.example.com' }, { publicUrl: 'https://gw.example.com' }],
    [{ WATCHLLM_DATA_DIR: '/var/lib/watchllm' }, { dataDir: '/var/lib/watchllm' }],
    [{ WATCHLLM_SECRET: SECRET }, { secrets: [SECRET] }],
    [{ WATCHLLM_SECRET: `${SECRET}, ${SECRET}2 ,` }, { secrets: [SECRET, `${SECRET}2`] }],
    [
      { DATABASE_URL: 'postgres://u:p@db/x', WATCHLLM_SECRET: SECRET },
      { databaseUrl: 'postgres://u:p@db/x', secrets: [SECRET] },
    ],
    [{ WATCHLLM_BOOTSTRAP_KEY: 'lgw_proj_0123456789abcdef' }, { bootstrapKey: 'lgw_proj_0123456789abcdef' }],
    [{ PUBLIC_URL: 'https://gw.example.com/under/' }, { publicUrl: 'https://gw.example.com/under' }],
    [
      { WATCHLLM_BOOTSTRAP_ADMIN: 'Ada@Example.com:pass:word:with:colons' },
      { bootstrapAdmin: { email: 'ada@example.com', password: 'pass:word:with:colons' } },
    ],
    [{ WATCHLLM_SIGN_UP: 'invite' }, { signUp: 'invite' }],
    [
      { SMTP_URL: 'smtps://u:p@mail.example.com:465', MAIL_FROM: 'WatchLLM <gw@example.com>' },
      { mail: { smtpUrl: 'smtps://u:p@mail.example.com:465', from: 'WatchLLM <gw@example.com>' } },
    ],
    [
      { SMTP_URL: 'smtp://mail.example.com', MAIL_FROM: 'gw@example.com' },
      { mail: { smtpUrl: 'smtp://mail.example.com', from: 'gw@example.com' } },
    ],
    [
      { GITHUB_CLIENT_ID: 'a', GITHUB_CLIENT_SECRET: 'b' },
      { logins: { github: { clientId: 'a', clientSecret: 'b' }, google: null, oidc: null } },
    ],
    [
      { GOOGLE_CLIENT_ID: 'a', GOOGLE_CLIENT_SECRET: 'b' },
      { logins: { github: null, google: { clientId: 'a', clientSecret: 'b' }, oidc: null } },
    ],
    [
      { OIDC_ISSUER: 'https://id.example.com/realm', OIDC_CLIENT_ID: 'a', OIDC_CLIENT_SECRET: 'b' },
      {
        logins: {
          github: null,
          google: null,
          oidc: { issuer: 'https://id.example.com/realm', clientId: 'a', clientSecret: 'b' },
        },
      },
    ],
    [{ WATCHLLM_BOOTSTRAP_PLAN: 'unlimited' }, { bootstrapPlan: PLANS.find(({ id }) => id === 'unlimited')! }],
    [{ WATCHLLM_CONNECT_TIMEOUT_MS: '1' }, { connectTimeoutMs: 1 }],
    [{ WATCHLLM_FIRST_BYTE_TIMEOUT_MS: '120000' }, { firstByteTimeoutMs: 120_000 }],
    [{ WATCHLLM_IDLE_TIMEOUT_MS: '5000' }, { idleTimeoutMs: 5_000 }],
    [{ WATCHLLM_TOTAL_TIMEOUT_MS: '86400000' }, { totalTimeoutMs: 86_400_000 }],
    [{ WATCHLLM_MAX_BODY_BYTES: '1024' }, { maxBodyBytes: 1024 }],
    [{ WATCHLLM_RETRIES: '0' }, { retries: 0 }],
    [{ WATCHLLM_BREAKER: 'off' }, { breaker: 'off' }],
    [{ WATCHLLM_JOURNAL_FSYNC: 'always' }, { journalFsync: 'always' }],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://otel:4318' }, { unused: ['OTEL_EXPORTER_OTLP_ENDPOINT'] }],
    [{ REDIS_URL: ' redis://u:p@cache:6380/2 ' }, { kv: { redisUrl: 'redis://u:p@cache:6380/2' } }],
    [
      { STRIPE_SECRET_KEY: 'sk_test_1', STRIPE_WEBHOOK_SECRET: 'whsec_1' },
      { stripe: { secretKey: 'sk_test_1', webhookSecret: 'whsec_1', apiBase: null } },
    ],
    [
      {
        STRIPE_SECRET_KEY: 'rk_live_1',
        STRIPE_WEBHOOK_SECRET: 'whsec_a/b+c',
        STRIPE_API_BASE: 'http://stripe.test:12111/',
      },
      { stripe: { secretKey: 'rk_live_1', webhookSecret: 'whsec_a/b+c', apiBase: 'http://stripe.test:12111' } },
    ],
    [{ REDIS_URL: 'rediss://cache' }, { kv: { redisUrl: 'rediss://cache' } }],
    [
      { UPSTASH_REDIS_REST_URL: 'https://eu1.upstash.io/', UPSTASH_REDIS_REST_TOKEN: 'AX==' },
      { kv: { url: 'https://eu1.upstash.io', token: 'AX==' } },
    ],
  ]
  it.each(cases)('%j', (env, expected) => {
    expect(read(env)).toEqual({ ...read(), ...expected })
  })
})

describe('a bad value stops the start with one line that names the variable', () => {
  const ints = [
    'PORT',
    'WATCHLLM_MAX_BODY_BYTES',
    'WATCHLLM_RETRIES',
    ...['CONNECT', 'FIRST_BYTE', 'IDLE', 'TOTAL'].map((phase) => `WATCHLLM_${phase}_TIMEOUT_MS`),
  ]
  const badInts = ['abc', '-1', '1.5', '1e3', '0x10', '8787 8788', '99999999999', 'NaN', 'Infinity', '٣', '80,81']
  const cases: [name: string, value: string][] = [
    ...ints.flatMap((name) => badInts.map((value) => [name, value] as [string, string])),
    ['PORT', '65536'],
    ['WATCHLLM_IDLE_TIMEOUT_MS', '0'],
    ['WATCHLLM_TOTAL_TIMEOUT_MS', '86400001'],
    ['WATCHLLM_MAX_BODY_BYTES', '1023'],
    ['WATCHLLM_RETRIES', '6'],
    ['PUBLIC_URL', 'gw.example.com'],
    ['PUBLIC_URL', 'ftp://gw.example.com'],
    ['PUBLIC_URL', 'https://'],
    ['PUBLIC_URL', 'https://user:hunter2@gw.example.com'],
    ['PUBLIC_URL', 'https://gw.example.com/?x=1'],
    ['WATCHLLM_BOOTSTRAP_ADMIN', 'hunter2'],
    ['WATCHLLM_BOOTSTRAP_ADMIN', 'admin:hunter2hunter2'],
    ['WATCHLLM_BOOTSTRAP_ADMIN', 'admin@example.com'],
    ['WATCHLLM_BOOTSTRAP_ADMIN', 'admin@example.com:hunter2'],
    ['WATCHLLM_BOOTSTRAP_ADMIN', `admin@example.com:${'hunter2'.repeat(19)}`],
    ['WATCHLLM_BOOTSTRAP_ADMIN', ':hunter2hunter2'],
    ['WATCHLLM_SIGN_UP', 'closed'],
    ['DATABASE_URL', 'mysql://u:hunter2@db/x'],
    ['DATABASE_URL', 'hunter2'],
    ['WATCHLLM_SECRET', 'short'],
    ['WATCHLLM_SECRET', `${SECRET},short`],
    ['WATCHLLM_BOOTSTRAP_KEY', 'sk-hunter2'],
    ['WATCHLLM_BOOTSTRAP_KEY', 'lgw_test_0123456789abcdef'],
    ['WATCHLLM_BOOTSTRAP_KEY', 'lgw_proj_hunter2'],
    ['WATCHLLM_BOOTSTRAP_PLAN', 'gold'],
    ['WATCHLLM_BOOTSTRAP_PLAN', 'Free'],
    ['WATCHLLM_JOURNAL_FSYNC', 'never'],
    ['WATCHLLM_TENANT_HOSTS', 'https://llm.corp'],
    ['WATCHLLM_TENANT_HOSTS', '10.0.0.0/33'],
    ['WATCHLLM_TENANT_HOSTS', 'fd00::/129'],
    ['WATCHLLM_TENANT_HOSTS', 'llm.corp:99999'],
    ['WATCHLLM_TENANT_HOSTS', 'llm corp'],
    ['WATCHLLM_TENANT_HOSTS', '*.corp'],
    ['WATCHLLM_TENANT_HOSTS', 'user@llm.corp'],
    ['WATCHLLM_TENANT_HOSTS', 'llm.corp/v1'],
    ['REDIS_URL', 'cache:6379'],
    ['REDIS_URL', 'https://u:hunter2@cache'],
    ['REDIS_URL', 'redis://'],
    ['REDIS_URL', 'hunter2'],
    ['WATCHLLM_PLANS', '/nowhere/plans.json'],
    ['WATCHLLM_PRICES', '/nowhere/prices.json'],
    ['WATCHLLM_PLANS', '/'],
    ['OPENAI_API_KEY', 'sk-hunter2 '.repeat(2)],
    ['OPENAI_API_KEY', 'sk-hunter2\nx'],
    ['OPENAI_API_KEY', 'sk-hünter2'],
    ['OPENAI_BASE_URL', 'localhost:8080'],
    ['OPENAI_BASE_URL', 'https://user:hunter2@proxy.example.com/v1'],
    ['OPENAI_BASE_URL', 'https://proxy.example.com/v1?api-version=2024'],
    ['OPENAI_BASE_URL', 'https://proxy.example.com/v1#x'],
    ['OLLAMA_BASE_URL', 'unix:/run/ollama.sock'],
  ]
  it.each(cases)('%s=%j', (name, value) => {
    const env = { OPENAI_API_KEY: 'sk-x', [name]: value }
    const line = refusal(env)
    expect(line).toMatch(new RegExp(`^${name} must `))
    expect(line).not.toMatch(/\n/)
    expect(line.length).toBeLessThan(300)
    expect(line).not.toContain('hunter2')
  })

  const groups = [
    { SMTP_URL: 'smtp://u:hunter2@mail.example.com', MAIL_FROM: 'gw@example.com' },
    { STRIPE_SECRET_KEY: 'sk_test_hunter2', STRIPE_WEBHOOK_SECRET: 'whsec_hunter2' },
    { GITHUB_CLIENT_ID: 'a', GITHUB_CLIENT_SECRET: 'hunter2' },
    { GOOGLE_CLIENT_ID: 'a', GOOGLE_CLIENT_SECRET: 'hunter2' },
    { OIDC_ISSUER: 'https://id.example.com', OIDC_CLIENT_ID: 'a', OIDC_CLIENT_SECRET: 'hunter2' },
    { UPSTASH_REDIS_REST_URL: 'https://eu1.upstash.io', UPSTASH_REDIS_REST_TOKEN: 'hunter2' },
  ]
  const parts = groups.flatMap((group) => Object.keys(group).map((name) => [name, group] as const))
  it.each(parts)('%s is needed when the others of its kind are set', (name, group) => {
    expect(refusal({ ...group, [name]: undefined })).toMatch(new RegExp(`^${name} must be set when [A-Z_]+ is$`))
  })

  const grouped: [name: string, value: string][] = [
    ['SMTP_URL', 'mail.example.com'],
    ['SMTP_URL', 'https://u:hunter2@mail.example.com'],
    ['SMTP_URL', 'smtp://'],
    ['MAIL_FROM', 'gateway'],
    ['MAIL_FROM', 'WatchLLM <gateway>'],
    ['MAIL_FROM', 'a@example.com, b@example.com'],
    ['MAIL_FROM', 'X\nBcc: b@example.com <a@example.com>'],
    ['OIDC_ISSUER', 'id.example.com'],
    ['STRIPE_SECRET_KEY', 'pk_live_hunter2'],
    ['STRIPE_SECRET_KEY', 'hunter2'],
    ['STRIPE_SECRET_KEY', 'sk_live_hunter2 x'],
    ['STRIPE_WEBHOOK_SECRET', 'hunter2'],
    ['STRIPE_WEBHOOK_SECRET', 'whsec_'],
    ['STRIPE_API_BASE', 'stripe.test:12111'],
    ['STRIPE_API_BASE', 'https://u:hunter2@stripe.test'],
    ['STRIPE_API_BASE', 'https://stripe.test/v1'],
    ['STRIPE_API_BASE', 'https://stripe.test/?x=1'],
    ['UPSTASH_REDIS_REST_URL', 'eu1.upstash.io'],
    ['UPSTASH_REDIS_REST_URL', 'redis://u:hunter2@eu1.upstash.io'],
    ['UPSTASH_REDIS_REST_URL', 'https://u:hunter2@eu1.upstash.io'],
    ['UPSTASH_REDIS_REST_URL', 'https://eu1.upstash.io/?x=1'],
    ['UPSTASH_REDIS_REST_TOKEN', 'hunter2 hunter2'],
    ['UPSTASH_REDIS_REST_TOKEN', 'hünter2'],
  ]
  it.each(grouped)('%s=%j', (name, value) => {
    const line = refusal({ ...Object.assign({}, ...groups), [name]: value })
    expect(line).toMatch(new RegExp(`^${name} must `))
    expect(line).not.toMatch(/\n|hunter2/)
  })

  it.each(['UPSTASH_REDIS_REST_URL', 'UPSTASH_REDIS_REST_TOKEN'])('REDIS_URL does not go with %s', (name) => {
    const value = name.endsWith('URL') ? 'https://eu1.upstash.io' : 'hunter2'
    const line = refusal({ REDIS_URL: 'redis://u:hunter2@cache', [name]: value })
    expect(line).toMatch(new RegExp(`^REDIS_URL must not be set when ${name} is`))
    expect(line).not.toContain('hunter2')
  })

  it('WATCHLLM_SECRET is needed when DATABASE_URL is set', () => {
    expect(refusal({ DATABASE_URL: 'postgres://u:hunter2@db/x' })).toMatch(
      /^WATCHLLM_SECRET must be set when DATABASE_URL/,
    )
  })

  it('WATCHLLM_PRICES as a file that is no JSON', () => {
    expect(refusal({ WATCHLLM_PRICES: file('prices.txt', 'gpt-4o: 5\n') })).toMatch(/^WATCHLLM_PRICES must .*$/)
  })
})

describe("providers' accounts", () => {
  it('of a tenant are where the operator says that the API lives, with a key of its own or without', () => {
    const { places } = read({ OPENAI_BASE_URL: 'http://10.0.0.1/openai/v1/', AZURE_OPENAI_API_VERSION: '2024-10-21' })
    expect(places.get('openai')).toEqual({ origin: 'http://10.0.0.1', basePath: '/openai/v1' })
    expect(places.get('groq')).toEqual({ origin: 'https://api.groq.com', basePath: '/openai/v1' })
    // Nobody has said where these are.
    expect([places.has('ollama'), places.has('azure-openai'), places.has('bedrock')]).toEqual([false, false, false])
    expect(read({ AWS_REGION: 'eu-central-1' }).places.get('bedrock')?.origin).toContain('eu-central-1')
  })

  it('are those whose key is set', () => {
    const { accounts } = read({ OPENAI_API_KEY: ' sk-1 ', GROQ_API_KEY: 'gsk_2' })
    expect([...accounts]).toEqual([
      ['openai', { apiKey: 'sk-1', origin: 'https://api.openai.com', basePath: '/v1' }],
      ['groq', { apiKey: 'gsk_2', origin: 'https://api.groq.com', basePath: '/openai/v1' }],
    ])
  })

  it("live where the operator's base URL says, path and port included", () => {
    const env = { OPENAI_API_KEY: 'sk-1', OPENAI_BASE_URL: 'http://10.0.0.5:9000/proxy/v1//' }
    expect(read(env).accounts.get('openai')).toEqual({
      apiKey: 'sk-1',
      origin: 'http://10.0.0.5:9000',
      basePath: '/proxy/v1',
    })
  })

  it('need a key even with a base URL, but for those that never do', () => {
    const env = { OPENAI_BASE_URL: 'http://10.0.0.5/v1', OLLAMA_BASE_URL: 'http://127.0.0.1:11434/v1' }
    expect([...read(env).accounts]).toEqual([
      ['ollama', { apiKey: null, origin: 'http://127.0.0.1:11434', basePath: '/v1' }],
    ])
  })

  it('of a provider without a home need its base URL', () => {
    expect(read({ OLLAMA_API_KEY: 'x' }).accounts.size).toBe(0)
  })
})
