import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { fixture, fixtures } from './fixture.ts'

const WIRES = ['openai-chat', 'openai-completions', 'openai-embeddings']
const all = WIRES.flatMap((wire) => [...fixtures(wire, '.sse'), ...fixtures(wire, '.json')])
const expected: Record<string, object> = JSON.parse(Buffer.from(fixture('expected.json')).toString())

it('every fixture says what is expected of it, and nothing is expected of others', () => {
  expect(Object.keys(expected).sort()).toEqual([...all].sort())
})

it('every fixture is named in the README, under its wire', () => {
  const sections = readFileSync(new URL('../fixtures/README.md', import.meta.url), 'utf8').split('\n## ')
  const named = sections.flatMap((section) =>
    Array.from(section.matchAll(/^\| (\S+\.(?:sse|json)) \|/gm), (row) => `${section.split(/[,\n]/)[0]}/${row[1]}`),
  )
  expect(named.sort()).toEqual([...all].sort())
})

it('every fixture is UTF-8, and every whole answer is JSON', () => {
  for (const name of all) {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(fixture(name))
    if (name.endsWith('.json')) expect(typeof JSON.parse(text), name).toBe('object')
    else expect(text, name).toContain('data:')
  }
})

it('base64 embeddings are the float ones, packed', () => {
  const read = (name: string): { data: { embedding: unknown }[] } =>
    JSON.parse(Buffer.from(fixture(`openai-embeddings/${name}.json`)).toString())
  const floats = read('three-float').data.map(({ embedding }) => embedding as number[])
  const packed = read('three-base64').data.map(({ embedding }) => Buffer.from(String(embedding), 'base64'))
  for (const [at, bytes] of packed.entries()) {
    const vector = Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4))
    expect(vector).toEqual(floats[at]?.map((value) => Math.fround(value)))
    expect(Math.hypot(...vector)).toBeCloseTo(1, 6)
  }
})
