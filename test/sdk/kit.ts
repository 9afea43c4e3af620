import OpenAI from 'openai'
import OpenAI4 from 'openai-4'
import type { Listener } from '../../server/http.ts'
import { listen } from '../../server/runtime/server.ts'
import { PROJECT_KEY, TEST_KEY, type TestApp, type TestAppOptions, testApp } from '../helpers/app.ts'
import { type ScriptedUpstream, startUpstream } from '../helpers/upstream.ts'

/** The official packages, as they are; version 4 has the same classes as far as these suites go. */
export const SDKS = [
  { name: 'openai 7', Client: OpenAI },
  { name: 'openai 4', Client: OpenAI4 as unknown as typeof OpenAI },
] as const

export type Sdk = (typeof SDKS)[number]

/** The gateway on a real socket before a scripted provider. */
export interface SdkBench {
  readonly app: TestApp
  readonly upstream: ScriptedUpstream
  /** Requests that have reached the gateway, refused ones included. */
  readonly asked: number
  /** A client with the project's key, that doesn't retry unless told to. */
  client(sdk: Sdk, options?: ConstructorParameters<typeof OpenAI>[0]): OpenAI
  /** A client with the test key: the sandbox answers. */
  sandbox(sdk: Sdk): OpenAI
  close(): Promise<void>
}

export async function openBench(options: TestAppOptions = {}): Promise<SdkBench> {
  const upstream = await startUpstream()
  const app = testApp({ upstreamUrl: upstream.url, ...options })
  let asked = 0
  const listener: Listener = await listen(
    (incoming) => {
      asked++
      return app.handle(incoming)
    },
    { host: '127.0.0.1', port: 0 },
  )
  const client: SdkBench['client'] = ({ Client }, more = {}) =>
    new Client({ apiKey: PROJECT_KEY, baseURL: `${listener.url}/v1`, maxRetries: 0, ...more })
  return {
    app,
    upstream,
    get asked() {
      return asked
    },
    client,
    sandbox: (sdk) => client(sdk, { apiKey: TEST_KEY }),
    async close() {
      await listener.close(0)
      await app.close()
      await upstream.close()
    },
  }
}

/** Where `parse`, `stream` and `runTools` live: version 4 calls them beta. */
export function helpersOf(client: OpenAI): OpenAI['chat']['completions'] {
  const older = client as unknown as { beta: { chat?: { completions: OpenAI['chat']['completions'] } } }
  return older.beta.chat?.completions ?? client.chat.completions
}

/** A header of a thrown error: a Headers object in version 7, a plain one in version 4. */
export function headerOf(error: { headers?: unknown }, name: string): string | null {
  const { headers } = error
  if (headers instanceof Headers) return headers.get(name)
  return (headers as Record<string, string> | undefined)?.[name] ?? null
}

export const MODEL = 'gpt-4o-mini'
export const MESSAGES = [{ role: 'user' as const, content: 'Book a table for two in Lisbon' }]

/** The error that a promise rejects with. @throws when it doesn't */
export async function failureOf(promise: PromiseLike<unknown>): Promise<InstanceType<typeof OpenAI.APIError>> {
  try {
    await promise
  } catch (error) {
    return error as InstanceType<typeof OpenAI.APIError>
  }
  throw new Error('It did not fail')
}
