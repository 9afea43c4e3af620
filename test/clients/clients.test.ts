import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PROJECT_KEY, PROVIDER_KEY } from '../helpers/app.ts'
import { cleanUp, startServer, type TestServer, temporaryFolder } from '../helpers/server.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'
import { CONTENT, DONE, fileWriter, TASK } from './model.ts'

/**
 * The command-line clients as people use them, headless, on a model of another provider than their own: each must
 * finish a loop with one of its tools. `npm run test:clients` installs them and says where they are.
 */
const BIN = process.env.WATCHLLM_CLIENTS ?? ''
const LIMIT_MS = 120_000

interface ClientRun {
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Its settings, by path under its home. */
  readonly files?: Readonly<Record<string, string>>
}

interface Client {
  readonly command: string
  /** The model, by provider, and the wire that this provider speaks. */
  readonly model: string
  readonly asked: RegExp
  run(url: string, model: string): ClientRun
}

const CLIENTS: readonly Client[] = [
  {
    command: 'claude',
    model: 'deepseek/deepseek-chat',
    asked: /\/chat\/completions$/,
    run: (url, model) => ({
      args: ['--print', '--bare', '--allowedTools', 'Bash', '--model', model, TASK],
      env: {
        ANTHROPIC_BASE_URL: url,
        ANTHROPIC_API_KEY: PROJECT_KEY,
        ANTHROPIC_SMALL_FAST_MODEL: model,
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
      },
    }),
  },
  {
    command: 'codex',
    model: 'anthropic/claude-sonnet-4-5',
    asked: /\/messages$/,
    run: (url, model) => ({
      args: ['exec', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox', '-m', model, TASK],
      env: { WATCHLLM_KEY: PROJECT_KEY },
      files: {
        '.codex/config.toml': [
          'model_provider = "watchllm"',
          '[model_providers.watchllm]',
          'name = "WatchLLM"',
          `base_url = "${url}/v1"`,
          'env_key = "WATCHLLM_KEY"',
          'wire_api = "responses"',
        ].join('\n'),
      },
    }),
  },
  {
    command: 'opencode',
    model: 'google/gemini-2.5-flash',
    asked: /:streamGenerateContent/,
    run: (url, model) => ({
      args: ['run', '--model', `watchllm/${model}`, TASK],
      env: { OPENCODE_DISABLE_AUTOUPDATE: '1', OPENCODE_DISABLE_MODELS_FETCH: '1' },
      files: {
        '.config/opencode/opencode.json': JSON.stringify({
          permission: { bash: 'allow', edit: 'allow' },
          provider: {
            watchllm: {
              npm: '@ai-sdk/openai-compatible',
              name: 'WatchLLM',
              options: { baseURL: `${url}/v1`, apiKey: PROJECT_KEY },
              models: { [model]: { name: model, tool_call: true } },
            },
          },
        }),
      },
    }),
  },
]

describe.skipIf(BIN === '' && process.env.WATCHLLM_REQUIRE_CLIENTS === undefined)('command-line clients', () => {
  let upstream: ScriptedUpstream
  let server: TestServer

  beforeAll(async () => {
    upstream = await startUpstream()
    upstream.script(fileWriter)
    const accounts = ['DEEPSEEK', 'ANTHROPIC', 'GOOGLE', 'GEMINI'].flatMap((name) => [
      [`${name}_API_KEY`, PROVIDER_KEY],
      [`${name}_BASE_URL`, `${upstream.url}/v1`],
    ])
    server = await startServer({ env: Object.fromEntries(accounts) })
  }, 60_000)

  afterAll(async () => {
    await server?.stop()
    await upstream?.close()
    await cleanUp()
  })

  for (const client of CLIENTS) {
    it(`${client.command} on ${client.model} finishes a loop with its tool`, () => finishes(client), LIMIT_MS + 5000)
  }

  async function finishes(client: Client): Promise<void> {
    const before = upstream.requests.length
    const folder = temporaryFolder()
    const { args, env, files = {} } = client.run(server.url, client.model)
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(join(folder, 'home', path, '..'), { recursive: true })
      writeFileSync(join(folder, 'home', path), text)
    }
    const work = join(folder, 'work')
    mkdirSync(work, { recursive: true })
    const ended = await runIn(work, join(BIN, client.command), { args, env: { HOME: join(folder, 'home'), ...env } })
    const log = `${ended.output}\n${server.stderr}`
    expect(existsSync(join(work, 'result.txt')), log).toBe(true)
    expect(readFileSync(join(work, 'result.txt'), 'utf8')).toBe(CONTENT)
    expect(ended.output).toContain(DONE)
    expect(ended.code, log).toBe(0)
    const asked = upstream.requests.slice(before).filter(({ path }) => client.asked.test(path.split('?')[0]!))
    expect(asked.length, log).toBeGreaterThanOrEqual(2)
    expect(upstream.faults).toEqual([])
  }
})

interface Ended {
  readonly code: number | null
  readonly output: string
}

function runIn(
  cwd: string,
  command: string,
  { args, env }: { args: readonly string[]; env: Readonly<Record<string, string>> },
): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { PATH: process.env.PATH, TERM: 'dumb', NO_COLOR: '1', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: LIMIT_MS,
    })
    let output = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        output += text
      })
    }
    child.on('error', reject)
    child.on('close', (code) => resolve({ code, output }))
  })
}
