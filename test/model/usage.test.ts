import { expect, it } from 'vitest'
import { inputTotal, NO_USAGE, outputTotal } from '../../db/model/usage.ts'

const USAGE = {
  input: 1,
  cacheRead: 10,
  cacheWrite5m: 100,
  cacheWrite1h: 1_000,
  output: 10_000,
  reasoning: 9_000,
  audioInput: 100_000,
  audioOutput: 1_000_000,
  imageInput: 10_000_000,
  imageOutput: 100_000_000,
}

it('inputTotal() counts every token of the prompt once', () => {
  expect(inputTotal(USAGE)).toBe(10_101_111)
})

it('outputTotal() counts every token of the answer once: reasoning is part of the output', () => {
  expect(outputTotal(USAGE)).toBe(101_010_000)
})

it('NO_USAGE is nothing at all and stays so', () => {
  expect(inputTotal(NO_USAGE) + outputTotal(NO_USAGE) + NO_USAGE.reasoning).toBe(0)
  expect(Object.keys(NO_USAGE).sort()).toEqual(Object.keys(USAGE).sort())
  expect(Object.isFrozen(NO_USAGE)).toBe(true)
})
