import { describe, expect, it } from 'vitest'
import { memoryKv } from '../../db/kv/memory.ts'
import { kvContract } from './kv.contract.ts'

kvContract('memory', memoryKv)

describe('memoryKv()', () => {
  const options = { windowMs: 1_000, nowMs: 5_000_000 }

  it('answers without a promise', () => {
    expect(memoryKv().take('a', 1, options)).toEqual({ allowed: true, remaining: 0, resetMs: 5_001_000 })
  })

  it('doesn’t open a window again when the clock goes back', () => {
    const kv = memoryKv()
    kv.take('a', 1, options)
    expect(kv.take('a', 1, { ...options, nowMs: options.nowMs - 2_500 })).toMatchObject({ allowed: false })
  })

  it('keeps its memory bounded over a million keys that come and go, and forgets no live one', () => {
    const kv = memoryKv()
    kv.take('live', 1, { windowMs: 100_000_000, nowMs: 0 })
    global.gc?.()
    const before = process.memoryUsage().heapUsed
    for (let i = 0; i < 1_000_000; i++) kv.take(`key-${i}`, 1, { windowMs: 1_000, nowMs: i * 10 })
    global.gc?.()
    // A million windows would take 100 MB and more.
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(50_000_000)
    expect(kv.take('live', 1, { windowMs: 100_000_000, nowMs: 10_000_000 })).toMatchObject({ allowed: false })
  })
})
