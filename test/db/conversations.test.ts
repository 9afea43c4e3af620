import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Conversation, ConversationItem } from '../../db/model/conversations.ts'
import type { KeptResponse } from '../../db/model/responses.ts'
import { type ConversationStore, conversationStore } from '../../db/stores/conversations.ts'
import { responseStore } from '../../db/stores/responses.ts'
import { createVault } from '../../db/vault.ts'
import { ENGINES, type TestDatabase } from './engines.ts'
import { NOON_MS } from './samples.ts'

const vault = createVault(['a master secret for these tests'])
const WORDS = 'what nobody else may read, \u0000 and \ud800 and “quotes” \u{1f600}'

let count = 0
function sample(changes: Partial<Conversation> = {}): Conversation {
  const more = { organizationId: 'org_a', metadataJson: '{}', createdAtMs: NOON_MS }
  return { id: `conv_${++count}`, projectId: 'prj_a', ...more, ...changes }
}

function saying(...texts: string[]): ConversationItem[] {
  return texts.map((text) => ({ id: `msg_${text}`, itemJson: JSON.stringify({ role: 'user', content: text }) }))
}

describe.each(ENGINES)('conversations on $name', (engine) => {
  let on: TestDatabase
  let store: ConversationStore
  beforeAll(async () => {
    on = await engine.open()
    store = conversationStore(on.database.db, vault)
  }, 120_000)
  afterAll(() => on?.dispose())

  const append = (id: string, items: ConversationItem[], addedBy: string | null = null, projectId = 'prj_a') =>
    store.append({ projectId, conversationId: id, addedBy, items, nowMs: NOON_MS })
  async function made(...texts: string[]): Promise<Conversation> {
    const conversation = sample()
    await store.create(conversation, saying(...texts))
    return conversation
  }
  const idsIn = async (id: string) => (await store.past('prj_a', id, 1e9))?.items?.map((item) => item.id)

  it('are read back as they were made, by their own project only', async () => {
    const given = sample({ metadataJson: JSON.stringify({ topic: WORDS }) })
    const items = saying('one', WORDS)
    items[1] = { ...items[1]!, id: 'msg_words' }
    await store.create(given, items)
    expect(await store.find('prj_a', given.id)).toEqual(given)
    const bytes = items.reduce((sum, one) => sum + Buffer.byteLength(one.itemJson), 0)
    expect(await store.past('prj_a', given.id, bytes)).toEqual({ items, bytes, upTo: 2 })
    expect(await store.past('prj_a', given.id, bytes - 1)).toEqual({ items: null, bytes, upTo: 2 })
    expect(await store.findItem('prj_a', given.id, 'msg_words')).toEqual(items[1])
    expect(await store.size('prj_a', given.id)).toBe(bytes)
    const strangers: [string, Promise<unknown>, unknown][] = [
      ['find', store.find('prj_b', given.id), null],
      ['past', store.past('prj_b', given.id, 1e9), null],
      ['size', store.size('prj_b', given.id), null],
      ['page', store.page('prj_b', given.id, { limit: 1, order: 'asc', after: 'msg_one' }), null],
      ['findItem', store.findItem('prj_b', given.id, 'msg_one'), null],
      ['findItemAnywhere', store.findItemAnywhere('prj_b', 'msg_words'), null],
      ['append', append(given.id, saying('x'), null, 'prj_b'), null],
      ['setMetadata', store.setMetadata('prj_b', given.id, '{"a":"b"}'), false],
      ['deleteItem', store.deleteItem('prj_b', given.id, 'msg_one'), false],
      ['delete', store.delete('prj_b', given.id), false],
      ['deleteProject', store.deleteProject('prj_b'), 0],
    ]
    for (const [name, answer, expected] of strangers) expect(await answer, name).toBe(expected)
    expect(await store.find('prj_a', given.id)).toEqual(given)
    expect(await store.past('prj_a', given.id, bytes)).toEqual({ items, bytes, upTo: 2 })
  })

  it('of no project, and under ids that no database can hold, are nowhere', async () => {
    for (const id of ['conv_none', '', 'conv_\u0000', 'conv_\ud800', 'x'.repeat(5000)]) {
      expect(await store.find('prj_a', id)).toBeNull()
      expect(await store.past('prj_a', id, 1e9)).toBeNull()
      expect(await store.findItemAnywhere('prj_a', id)).toBeNull()
      expect(await store.delete('prj_a', id)).toBe(false)
      expect(await store.deleteItem('prj_a', 'conv_none', id)).toBe(false)
    }
  })

  it('are unreadable in the tables, and an item in no other place than its own', async () => {
    const one = sample({ metadataJson: JSON.stringify({ note: 'nobody else' }) })
    await store.create(one, saying('nobody else', 'other'))
    const { db } = on.database
    const rows = await db.selectFrom('conversation_items').selectAll().where('conversation_id', '=', one.id).execute()
    const heads = await db.selectFrom('conversations').selectAll().execute()
    expect(JSON.stringify([rows.map((row) => row.item), heads])).not.toContain('nobody else')
    await db
      .updateTable('conversation_items')
      .set({ item: rows[0]!.item })
      .where('conversation_id', '=', one.id)
      .where('position', '=', 1)
      .execute()
    await expect(store.past('prj_a', one.id, 1e9)).rejects.toThrow('changed')
  })

  it('setMetadata() replaces what was noted', async () => {
    const { id } = await made()
    expect(await store.setMetadata('prj_a', id, '{"a":"b"}')).toBe(true)
    expect((await store.find('prj_a', id))?.metadataJson).toBe('{"a":"b"}')
  })

  it('what is appended at the same time is all there, each turn in one piece', async () => {
    const { id } = await made('first')
    const turns = Array.from({ length: 12 }, (_, n) => saying(`${n}a`, `${n}b`, `${n}c`))
    await Promise.all(turns.map((items, n) => append(id, items, `resp_${n}`)))
    const ids = (await idsIn(id))!
    expect(ids).toHaveLength(1 + 12 * 3)
    expect(ids[0]).toBe('msg_first')
    for (const [first, second, third] of turns.map((items) => items.map((item) => item.id))) {
      const at = ids.indexOf(first!)
      expect(ids.slice(at, at + 3)).toEqual([first, second, third])
    }
  })

  it('a turn given twice is there once, and an item whose id is taken is there under another', async () => {
    const { id } = await made('one')
    const turn = saying('two', 'three')
    await Promise.all([append(id, turn, 'resp_1'), append(id, turn, 'resp_1')])
    expect(await idsIn(id)).toEqual(['msg_one', 'msg_two', 'msg_three'])
    const again = await append(id, saying('one', 'one', 'four'), 'resp_2')
    expect(again?.map((item) => item.id)).toEqual(['msg_one_3', 'msg_one_4', 'msg_four'])
    expect(await append(id, saying('one', 'one', 'four'), 'resp_2')).toHaveLength(3)
    expect(await idsIn(id)).toHaveLength(6)
    // The same without a response that it belongs to is said once more.
    await append(id, saying('five'))
    await append(id, saying('six'))
    expect((await idsIn(id))?.slice(6)).toEqual(['msg_five', 'msg_six'])
  })

  it('items and bytes are what is there, whatever was taken away, and positions are never given twice', async () => {
    const { id } = await made('one', 'two')
    const before = await store.size('prj_a', id)
    await append(id, saying('three', 'four'), 'resp_1')
    expect(await store.deleteItem('prj_a', id, 'msg_one')).toBe(true)
    expect(await store.deleteItem('prj_a', id, 'msg_one')).toBe(false)
    await store.removeTurn('prj_b', id, 'resp_1')
    expect(await idsIn(id)).toEqual(['msg_two', 'msg_three', 'msg_four'])
    await store.removeTurn('prj_a', id, 'resp_1')
    expect(await idsIn(id)).toEqual(['msg_two'])
    expect(await store.size('prj_a', id)).toBe(before! / 2)
    await append(id, saying('one'))
    expect((await store.past('prj_a', id, 1e9))?.upTo).toBe(5)
    expect(await idsIn(id)).toEqual(['msg_two', 'msg_one'])
  })

  it('page() gives every item once in either order, whatever the page, and knows no item to follow that is gone', async () => {
    const texts = Array.from({ length: 7 }, (_, n) => `${n}`)
    const { id } = await made(...texts)
    for (const order of ['asc', 'desc'] as const) {
      const all = order === 'asc' ? texts : texts.toReversed()
      for (const limit of [1, 2, 3, 6, 7, 8]) {
        const seen: string[] = []
        for (let after: string | null = null, more = true; more; ) {
          const page = (await store.page('prj_a', id, { limit, order, after }))!
          expect(page.items.length).toBeGreaterThan(0)
          seen.push(...page.items.map((item) => item.id))
          after = seen[seen.length - 1]!
          more = page.hasMore
        }
        expect(seen).toEqual(all.map((text) => `msg_${text}`))
      }
    }
    expect(await store.page('prj_a', id, { limit: 5, order: 'asc', after: 'msg_none' })).toBeNull()
    const empty = await made()
    expect(await store.page('prj_a', empty.id, { limit: 5, order: 'asc', after: null })).toEqual({
      items: [],
      hasMore: false,
    })
  })

  it('more items than one statement takes go in together', async () => {
    const { id } = await made()
    const texts = Array.from({ length: 1203 }, (_, n) => `many${n}`)
    await append(id, saying(...texts))
    expect(await idsIn(id)).toEqual(texts.map((text) => `msg_${text}`))
  })

  it('create() leaves nothing behind when its items can not be stored', async () => {
    const given = sample()
    const broken = [{ id: 'msg_\u0000', itemJson: '{}' }]
    await expect(store.create(given, broken)).rejects.toThrow()
    expect(await store.find('prj_a', given.id)).toBeNull()
  })

  it('findItemAnywhere() gives the youngest item of an id', async () => {
    const [old, young] = [sample({ createdAtMs: NOON_MS - 5 }), sample()]
    await store.create(young, [{ id: 'msg_both', itemJson: '{"of":"young"}' }])
    await store.create(old, [{ id: 'msg_both', itemJson: '{"of":"old"}' }])
    expect((await store.findItemAnywhere('prj_a', 'msg_both'))?.itemJson).toBe('{"of":"young"}')
  })

  it('delete() and deleteProject() leave no row behind', async () => {
    const { id } = await made('one')
    const other = sample({ projectId: 'prj_b' })
    await store.create(other, saying('two'))
    const left = async () => {
      const rows = await on.database.db.selectFrom('conversation_items').select('conversation_id').execute()
      return rows.map((row) => row.conversation_id)
    }
    expect(await store.delete('prj_a', id)).toBe(true)
    expect(await store.delete('prj_a', id)).toBe(false)
    expect(await append(id, saying('late'))).toBeNull()
    expect(await left()).not.toContain(id)
    expect(await store.deleteProject('prj_a')).toBeGreaterThan(5)
    expect(await left()).toEqual([other.id])
  })

  it('a chain that begins in one has what was read there, without what came later or was deleted since', async () => {
    const responses = responseStore(on.database.db, vault)
    const { id } = await made('one', 'two')
    const kept: KeptResponse = {
      ...{ id: 'resp_in', projectId: 'prj_a', organizationId: 'org_a', keyId: 'key_a', previousId: null },
      ...{ model: 'm', status: 'completed', inputJson: '[{"own":1}]', answerJson: '{"output":[]}', itemIds: [] },
      ...{ createdAtMs: NOON_MS, expiresAtMs: NOON_MS + 9, aliveAtMs: null, conversation: { id, upTo: 2 } },
    }
    await responses.save(kept)
    const second = { ...kept, id: 'resp_on', previousId: 'resp_in', conversation: null }
    await responses.save(second)
    await append(id, saying('later'))
    expect(await responses.find('prj_a', 'resp_in', NOON_MS)).toEqual(kept)
    const read = async () => (await responses.chain('prj_a', 'resp_on', NOON_MS))!
    const inputs = (chain: Awaited<ReturnType<typeof read>>) => chain.turns.map((turn) => JSON.parse(turn.inputJson))
    const said = (...texts: string[]) => texts.map((content) => ({ role: 'user', content }))
    expect(inputs(await read())).toEqual([said('one', 'two'), [{ own: 1 }], [{ own: 1 }]])
    expect((await read()).whole).toBe(true)
    await store.deleteItem('prj_a', id, 'msg_one')
    expect(inputs(await read())[0]).toEqual(said('two'))
    await store.delete('prj_a', id)
    expect(inputs(await read())[0]).toEqual([])
    expect((await read()).whole).toBe(false)
  })
})
