import { describe, expect, it } from 'vitest'
import { costPico } from '../../db/model/money.ts'
import { readTries } from '../../db/model/tries.ts'
import { FAULTS } from '../helpers/faults.ts'
import { openaiProvider } from '../helpers/upstream-openai.ts'
import { gate } from '../helpers/upstream-plan.ts'
import {
  app,
  ask,
  bench,
  CALLERS,
  counter,
  expectNothingLeft,
  open,
  PROVIDERS,
  upstreams,
  WIRES,
} from './failover-kit.ts'

bench()

describe.each(WIRES)('before the first content of $name', (wire) => {
  const CASES = FAULTS.flatMap((fault) =>
    [false, true]
      .filter((stream) => fault.on === undefined || (fault.on === 'stream') === stream)
      .flatMap((stream) =>
        (
          [
            [1, 1],
            [2, 1],
            [2, 2],
            [3, 2],
          ] as const
        ).map(([targets, bad]) => ({ fault, stream, targets, bad, name: fault.name })),
      ),
  )

  it.each(CASES)('$bad of $targets fail with $name, stream: $stream', async ({ fault, stream, targets, bad }) => {
    open(targets)
    const stood = gate()
    for (const [at, upstream] of upstreams.entries()) upstream.script(at < bad ? fault.plan(stood) : openaiProvider())
    const since = counter()
    const { response, text } = await ask(wire, stream, { fault, stood })
    const isFinal = CALLERS.has(fault.code)
    const asked = isFinal ? 1 : Math.min(targets, bad + 1)
    expect(since()).toEqual(PROVIDERS.map((_, at) => (at < asked ? 1 : 0)))
    expect(response.headers.get('x-watchllm-attempts')).toBe(String(asked))
    await expectNothingLeft()
    const record = app.records[0]!
    expect(readTries(record.tries).map(({ provider }) => provider)).toEqual(
      PROVIDERS.slice(0, isFinal ? 1 : Math.min(targets, bad)),
    )
    if (asked > bad) {
      expect([response.status, record.outcome, record.attempts]).toEqual([200, 'done', asked])
      expect(text).toContain(stream ? 'provider' : 'Hello from the provider')
      expect(response.headers.get('x-watchllm-provider')).toBe(PROVIDERS[asked - 1])
      expect(record.provider).toBe(PROVIDERS[asked - 1])
      expect(record.usage.output).toBeGreaterThan(0)
      expect(record.costPico).toBe(costPico(record.usage, app.prices[0]!))
    } else {
      expect([response.status, wire.codeOf(JSON.parse(text))]).toEqual([fault.status, fault.code])
      expect(record).toMatchObject({ outcome: 'error', costPico: 0, attempts: asked, status: fault.status })
    }
    await app.close()
  })
})
