import { describe, expect, it } from 'vitest'
import type { StreamEvent } from '../../../server/wire/model.ts'
import { PartOrder } from '../../../server/wire/part-order.ts'
import { Random } from '../../helpers/random.ts'
import { gather } from './contract.ts'

const START: StreamEvent = { type: 'start', id: null, model: null, createdAtS: null }

function ordered(): { order: PartOrder; events: StreamEvent[] } {
  const events: StreamEvent[] = []
  return { order: new PartOrder(0, (event) => events.push(event)), events }
}

describe('PartOrder', () => {
  it('streams the open part as it comes, and holds back the others in the order of their beginning', () => {
    const { order, events } = ordered()
    order.open('a', { type: 'text', text: '' })
    order.open('b', { type: 'text', text: '' })
    order.open('c', { type: 'text', text: '' })
    order.delta('c', { text: 'C' })
    order.delta('a', { text: 'A' })
    expect(events.map(({ type }) => type)).toEqual(['part', 'delta'])
    expect([order.current, order.isHolding, order.has('c')]).toEqual(['a', true, true])
    order.close('c')
    expect(order.has('c')).toBe(false)
    order.close('a')
    expect(order.current).toBe('b')
    order.close('b')
    expect(events.map((event) => ('index' in event ? `${event.type} ${event.index}` : ''))).toEqual([
      'part 0',
      'delta 0',
      'part-end 0',
      'part 1',
      'part-end 1',
      'part 2',
      'delta 2',
      'part-end 2',
    ])
    expect(order.isHolding).toBe(false)
  })

  it('frees the key of a closed part for another, be it held or not', () => {
    const { order, events } = ordered()
    order.open('a', { type: 'text', text: '' })
    for (const text of ['1', '2']) order.whole('b', { type: 'refusal', text })
    order.close('a')
    expect(gather([START, ...events]).choices[0]!.parts).toMatchObject([{ text: '' }, { text: '1' }, { text: '2' }])
  })

  it('ignores deltas for parts that have not begun or are closed', () => {
    const { order, events } = ordered()
    order.delta('a', { text: '1' })
    order.whole('a', { type: 'text', text: '' })
    order.delta('a', { text: '2' })
    order.close('a')
    expect(events).toHaveLength(2)
  })

  it('keeps the contract and loses no piece, however parts are interleaved', () => {
    for (let seed = 1; seed <= 500; seed++) {
      const random = new Random(seed)
      const { order, events } = ordered()
      const said = new Map<string, string>()
      const begun: string[] = []
      for (let step = random.int(60); step >= 0; step--) {
        const key = `k${random.int(5)}`
        if (!order.has(key) && random.once(2)) {
          if (said.has(key)) continue
          order.open(key, { type: 'text', text: '' })
          said.set(key, '')
          begun.push(key)
        } else if (order.has(key) && random.once(5)) order.close(key)
        else if (order.has(key)) {
          order.delta(key, { text: `${step} ` })
          said.set(key, `${said.get(key)}${step} `)
        }
      }
      order.closeAll()
      expect(order.current, `seed ${seed}`).toBe(null)
      const { choices } = gather([START, ...events])
      const texts = choices[0]?.parts.map((part) => (part.type === 'text' ? part.text : null)) ?? []
      expect(texts, `seed ${seed}`).toEqual(begun.map((key) => said.get(key)))
    }
  })
})
