import { once } from 'node:events'
import { request } from 'node:http'
import { expect, it } from 'vitest'
import { ask, chat, eventsOf, get, post, refused, until } from '../helpers/client.ts'
import { fixture } from '../helpers/fixture.ts'
import { runProgram, StartFailed, serveHandler } from '../helpers/server.ts'
import { hang, sse } from '../helpers/upstream-answers.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'
import { gate } from '../helpers/upstream-plan.ts'
import { type Bench, CHAT, STREAM } from './bench.ts'

/** How the process begins and ends. Last: they stop the shared server and start it again. */
export function lifeChecks(bench: Bench): void {
  it('refuses a second instance on the same folder with one clear line', async () => {
    const { dataDir } = bench.server
    const failed = await bench.start({ dataDir }).catch((error: unknown) => error)
    expect(failed).toBeInstanceOf(StartFailed)
    const { exit, stderr, stdout } = failed as StartFailed
    expect(exit.code).toBe(1)
    expect(stdout).toBe('')
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toContain(dataDir)
    expect((await get(`${bench.server.url}/health`)).status).toBe(200)
  })

  it('keeps keys and rows over a restart', async () => {
    const { dataDir, testKey } = bench.server
    bench.upstream.script(openaiProvider())
    const id = (await ask(bench.server.url + CHAT, chat('hi'))).headers.get('x-request-id')!
    const before = (await get(`${bench.server.url}/v1/requests/${id}`)).json()
    expect(await bench.server.stop()).toEqual({ code: 0, signal: null })
    bench.server = await bench.start({ dataDir })
    expect(bench.server.stdout).not.toContain('lgw_')
    expect((await get(`${bench.server.url}/v1/requests/${id}`)).json()).toEqual(before)
    expect((await ask(bench.server.url + CHAT, chat('hi'), { key: testKey! })).status).toBe(200)
  })

  it('SIGTERM lets a stream under way finish, refuses new connections, and ends with 0', async () => {
    const rest = gate()
    bench.upstream.script(sse(fixture('openai-chat/text.sse'), { stall: { at: 900, gate: rest } }))
    const { url, dataDir } = bench.server
    const streamed = await post(url + CHAT, chat('hi', STREAM))
    await rest.reached
    const stopped = bench.server.stop()
    expect(await until('new connections to be refused', () => refused(url))).toBe('ECONNREFUSED')
    rest.open()
    expect(eventsOf(await streamed.text()).at(-1)).toBe('[DONE]')
    expect(await stopped).toEqual({ code: 0, signal: null })
    bench.server = await bench.start({ dataDir })
    const id = streamed.headers.get('x-request-id')
    expect((await get(`${bench.server.url}/v1/requests/${id}`)).json()).toMatchObject({ outcome: 'done', stream: true })
  })

  it('SIGINT ends it as well, at once when only idle connections are left', async () => {
    const { url, dataDir } = bench.server
    const idle = request(`${url}/livez`, { agent: false, headers: { connection: 'keep-alive' } }).end()
    const [response] = await once(idle, 'response')
    response.resume()
    await once(response, 'end')
    expect(await bench.server.stop('SIGINT')).toEqual({ code: 0, signal: null })
    bench.server = await bench.start({ dataDir })
  })

  it('a second signal ends it at once while the provider hangs, and the folder is free again', async () => {
    bench.upstream.script(hang())
    const { url, dataDir } = bench.server
    const before = bench.upstream.requests.length
    const asked = ask(url + CHAT, chat('hi')).catch(() => 'cut')
    await until('the call to reach the provider', () => bench.upstream.requests.length > before)
    const stopped = bench.server.stop()
    await until('new connections to be refused', () => refused(url))
    bench.server.signal('SIGTERM')
    expect((await stopped).code).toBe(1)
    expect(await asked).toBe('cut')
    bench.server = await bench.start({ dataDir })
  })

  it('a stop waits no longer than it is told for calls that hang, and tells them that the caller is gone', async () => {
    const program = await runProgram(bench.runtime, 'test/runtime/drain.ts')
    await expect(fetch(program.url)).rejects.toThrow()
    expect(await program.exited).toEqual({ code: 0, signal: null })
    expect(program.stdout).toContain('gone')
    expect(program.stdout).toContain('closed')
  })

  it('a port in use is one clear line', async () => {
    const { port } = new URL(bench.server.url)
    const failed = await bench.start({ env: { PORT: port } }).catch((error: unknown) => error)
    const { exit, stderr } = failed as StartFailed
    expect(exit.code).toBe(1)
    expect(stderr.trim().split('\n')).toHaveLength(1)
    expect(stderr).toMatch(new RegExp(`^WatchLLM can not start: .*${port}.*set HOST and PORT`))
  })

  it('is a fetch handler, for runtimes that listen by themselves', async () => {
    const served = await serveHandler(bench.runtime, { upstreamUrl: bench.upstream.url })
    bench.upstream.script(openaiProvider())
    expect((await get(`${served.url}/health`)).json()).toMatchObject({ status: 'ok' })
    const streamed = await ask(served.url + CHAT, chat('hi', STREAM))
    expect(eventsOf(streamed.text).at(-1)).toBe('[DONE]')
    await served.stop('SIGKILL')
  })
}
