import { createHash } from 'node:crypto'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { PROJECT_KEY } from '../helpers/app.ts'
import { ask, chat, get } from '../helpers/client.ts'
import { cleanUp, StartFailed, type StartOptions, startServer, temporaryFolder } from '../helpers/server.ts'
import { openRows } from './rows.ts'

const CHAT = '/v1/chat/completions'
afterAll(cleanUp, 30_000)

describe('the first start', { timeout: 60_000 }, () => {
  it('prints a curl line that works as it stands, and the key only once', async () => {
    const dataDir = join(temporaryFolder(), 'data')
    const first = await startServer({ dataDir, env: { WATCHLLM_BOOTSTRAP_KEY: undefined } })
    const { url, init } = curlLine(first.stdout)
    const answered = await fetch(url, init)
    expect(answered.status).toBe(200)
    const answer = (await answered.json()) as { choices: { message: { content: string } }[] }
    expect(answer.choices[0]!.message.content.length).toBeGreaterThan(0)
    expect(first.stdout.match(/lgw_/g)).toHaveLength(2)
    expect(first.stderr).toBe('')
    await first.stop()

    const second = await startServer({ dataDir, env: { WATCHLLM_BOOTSTRAP_KEY: undefined } })
    const [ready, admin, ...rest] = second.stdout.trim().split('\n')
    expect([ready, rest]).toEqual([`WatchLLM is ready at ${second.url}`, []])
    expect(admin).toMatch(/^Make the first admin, once: http:\S+\/setup\?token=[\w-]{43}$/)
    expect((await ask(second.url + CHAT, chat('hi'), { key: first.testKey! })).status).toBe(200)
    await second.stop()
    expect(filesWith(dataDir, first.testKey!)).toEqual([])
  })

  it('makes everything in the data folder for its owner only', async () => {
    const server = await startServer()
    const mode = (path: string) => (fs.statSync(join(server.dataDir, path)).mode & 0o777).toString(8)
    expect([mode('.'), mode('journal'), mode('postgres')]).toEqual(['700', '700', '700'])
    expect(mode('secret')).toBe('600')
    await ask(server.url + CHAT, chat('hi'), { key: server.testKey! })
    for (const file of fs.readdirSync(join(server.dataDir, 'journal'))) expect(mode(`journal/${file}`)).toBe('600')
  })

  it('makes no secret of its own where the operator gave one', async () => {
    const server = await startServer({ env: { WATCHLLM_SECRET: '0123456789abcdef' } })
    expect(fs.existsSync(join(server.dataDir, 'secret'))).toBe(false)
  })
})

describe('WATCHLLM_BOOTSTRAP_KEY', { timeout: 60_000 }, () => {
  it('is a key of the default project, made once however often it is given; another one is one more', async () => {
    const other = 'lgw_proj_another0123456789abcdef01234567'
    const dataDir = join(temporaryFolder(), 'data')
    const list = async (url: string, key: string) => (await get(`${url}/v1/models`, key)).status
    for (const key of [PROJECT_KEY, PROJECT_KEY, other]) {
      const server = await startServer({ dataDir, env: { WATCHLLM_BOOTSTRAP_KEY: key } })
      expect(await list(server.url, key)).toBe(200)
      expect(await list(server.url, PROJECT_KEY)).toBe(200)
      expect(await list(server.url, 'lgw_proj_neither0123456789abcdef01234567')).toBe(401)
      expect((await server.stop()).code).toBe(0)
    }
    const rows = await openRows(dataDir)
    const keys = await rows.keys()
    expect(
      keys
        .filter((key) => key.kind === 'project')
        .map((key) => key.secret_sha256)
        .sort(),
    ).toEqual([PROJECT_KEY, other].map((key) => createHash('sha256').update(key).digest('hex')).sort())
    expect(new Set(keys.map((key) => key.project_id)).size).toBe(1)
    await rows.close()
  })
})

describe('a start that can’t be', { timeout: 60_000 }, () => {
  const cases: readonly [string, Readonly<Record<string, string>>, RegExp][] = [
    ['a port that is none', { PORT: 'http' }, /PORT must be a whole number from 0 to 65535, not "http"/],
    ['a key that is none', { WATCHLLM_BOOTSTRAP_KEY: 'lgw_proj_short' }, /WATCHLLM_BOOTSTRAP_KEY must be/],
    ['an unknown plan', { WATCHLLM_BOOTSTRAP_PLAN: 'gold' }, /WATCHLLM_BOOTSTRAP_PLAN must be one of free, /],
    ['a base URL of another kind', { OPENAI_BASE_URL: 'ftp://x' }, /OPENAI_BASE_URL must be a URL that begins with/],
    ['a file that is not there', { WATCHLLM_PLANS: '/nowhere.json' }, /WATCHLLM_PLANS must name a readable JSON file/],
    ['PostgreSQL without a secret', { DATABASE_URL: 'postgres://u:hidden@h/d' }, /WATCHLLM_SECRET must be set when/],
    ['a folder that can’t be one', { WATCHLLM_DATA_DIR: '/dev/null/data' }, /ENOTDIR.*set WATCHLLM_DATA_DIR to/],
    [
      'a PostgreSQL that isn’t there',
      { DATABASE_URL: 'postgres://u:hidden@127.0.0.1:1/d', WATCHLLM_SECRET: '0123456789abcdef' },
      /DATABASE_URL can not be used: .*ECONNREFUSED/,
    ],
  ]
  it.concurrent.each(cases)('for %s says so in one line and ends with 1', async (_, env, line) => {
    const { exit, stdout, stderr } = await failedStart({ env })
    expect([exit.code, stdout]).toEqual([1, ''])
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toMatch(/^WatchLLM can not start: /)
    expect(stderr).toMatch(line)
    expect(stderr).not.toContain('hidden')
  })

  it('for a port in use says so in one line, and leaves its folder free', async () => {
    const holder = await startServer()
    const dataDir = join(temporaryFolder(), 'data')
    const { port } = new URL(holder.url)
    const { exit, stderr } = await failedStart({ dataDir, env: { PORT: port } })
    expect(exit.code).toBe(1)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toMatch(new RegExp(`^WatchLLM can not start: .*${port}.*set HOST and PORT`))
    const again = await startServer({ dataDir })
    expect((await get(`${again.url}/health`)).status).toBe(200)
  })

  it('leaves no folder behind when a variable was bad', async () => {
    const dataDir = join(temporaryFolder(), 'data')
    await failedStart({ dataDir, env: { PORT: '-1' } })
    expect(fs.existsSync(dataDir)).toBe(false)
  })

  it.each([
    ['[]', /WATCHLLM_PRICES must hold price overrides: the file: /],
    ['{"openai/gpt-4o":{"rates":"free"}}', /WATCHLLM_PRICES must hold price overrides: "openai\/gpt-4o/],
  ])('for prices such as %s names what is wrong in one line, before any database is made', async (text, line) => {
    const folder = temporaryFolder()
    const dataDir = join(folder, 'data')
    fs.writeFileSync(join(folder, 'prices.json'), text)
    const { stderr } = await failedStart({ dataDir, env: { WATCHLLM_PRICES: join(folder, 'prices.json') } })
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toMatch(line)
    expect(fs.existsSync(dataDir)).toBe(false)
  })
})

async function failedStart(options: StartOptions): Promise<StartFailed> {
  const failed = await startServer(options).catch((error: unknown) => error)
  expect(failed).toBeInstanceOf(StartFailed)
  return failed as StartFailed
}

/** The printed line, as a shell would read it: continued lines, double and single quotes. */
function curlLine(stdout: string): { url: string; init: RequestInit } {
  const line = /^curl (?:.*\\\n)*.*$/m.exec(stdout)![0].replaceAll('\\\n', ' ')
  const words = Array.from(line.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g), (word) => word[1] ?? word[2] ?? word[3]!)
  const headers: [string, string][] = []
  let body = ''
  words.forEach((word, at) => {
    if (words[at - 1] === '-H') headers.push([word.split(': ')[0]!, word.slice(word.indexOf(': ') + 2)])
    if (words[at - 1] === '-d') body = word
  })
  return { url: words[1]!, init: { method: 'POST', headers, body } }
}

function filesWith(folder: string, secret: string): string[] {
  const entries = fs.readdirSync(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return files.filter((file) => fs.readFileSync(file).includes(secret))
}
