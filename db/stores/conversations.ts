import { type Kysely, type Selectable, sql } from 'kysely'
import type {
  Conversation,
  ConversationItem,
  ConversationPast,
  ConversationPlace,
  ConversationTurn,
} from '../model/conversations.ts'
import type { ConversationItemsTable, ConversationsTable } from '../schema/conversations.ts'
import type { Schema } from '../schema/index.ts'
import type { Sealing } from './sealing.ts'

/** One page of a conversation's items. */
export interface ItemPage {
  readonly items: readonly ConversationItem[]
  readonly hasMore: boolean
}

export interface ItemPageWish {
  readonly limit: number
  readonly order: 'asc' | 'desc'
  /** The id of the item that the page follows, null: from the first on. */
  readonly after: string | null
}

/**
 * Conversations of the Responses API. A project sees its own and no other's. Items stand in the order in which they were
 * added; those that were added together stand together, whoever adds at the same time. What is deleted is gone from the
 * tables; what is not stays.
 */
export interface ConversationStore {
  /** With its first items, all or nothing. Readable by everybody when it resolves. */
  create(conversation: Conversation, items: readonly ConversationItem[]): Promise<void>
  find(projectId: string, id: string): Promise<Conversation | null>
  /** @returns false when there is none */
  setMetadata(projectId: string, id: string, metadataJson: string): Promise<boolean>
  /** With all its items. @returns false when there was none */
  delete(projectId: string, id: string): Promise<boolean>
  /**
   * Adds a turn behind all that is there. An item whose id is taken gets another, so that nothing is lost.
   * @returns the items as they are there; null when there is no such conversation
   */
  append(turn: ConversationTurn): Promise<readonly ConversationItem[] | null>
  /** Takes back what a response brought. */
  removeTurn(projectId: string, id: string, addedBy: string): Promise<void>
  /** Bytes of all its items as JSON; null when there is none. */
  size(projectId: string, id: string): Promise<number | null>
  /** All of it, as it is at one moment; null when there is none. @param maxBytes more is not read */
  past(projectId: string, id: string, maxBytes: number): Promise<ConversationPast | null>
  /** Null when there is no such conversation, or no such item to follow. */
  page(projectId: string, id: string, wish: ItemPageWish): Promise<ItemPage | null>
  findItem(projectId: string, id: string, itemId: string): Promise<ConversationItem | null>
  /** The youngest item of that id in any of the project's conversations. */
  findItemAnywhere(projectId: string, itemId: string): Promise<ConversationItem | null>
  /** @returns false when there was none */
  deleteItem(projectId: string, id: string, itemId: string): Promise<boolean>
  /** Everything that a project has here. @returns how many conversations there were */
  deleteProject(projectId: string): Promise<number>
}

/** So many rows go into one statement, and so many ids. */
const ROWS = 500
/** Ids that are ours, or that `append` was given: nothing else is asked of the database. */
const ID = /^[\x21-\x7e]{1,320}$/

type ItemRow = Pick<Selectable<ConversationItemsTable>, 'conversation_id' | 'id' | 'item'>

export function conversationStore(db: Kysely<Schema>, vault: Sealing): ConversationStore {
  const opened = (row: Selectable<ConversationsTable>): Conversation => ({
    id: row.id,
    projectId: row.project_id,
    organizationId: row.organization_id,
    metadataJson: vault.open(row.metadata, contextOf(row.project_id, row.id, 'metadata')),
    createdAtMs: row.created_at.getTime(),
  })
  const itemOf = (projectId: string, row: ItemRow) => openItem(vault, projectId, row)
  const items = (projectId: string) =>
    db
      .selectFrom('conversation_items as i')
      .innerJoin('conversations as c', 'c.id', 'i.conversation_id')
      .select(['i.conversation_id', 'i.position', 'i.id', 'i.item'])
      .where('c.project_id', '=', projectId)

  return {
    async create({ id, projectId, organizationId, metadataJson, createdAtMs }, first) {
      await db.transaction().execute(async (trx) => {
        await trx
          .insertInto('conversations')
          .values({
            id,
            project_id: projectId,
            organization_id: organizationId,
            metadata: vault.seal(metadataJson, contextOf(projectId, id, 'metadata')),
            created_at: new Date(createdAtMs),
          })
          .execute()
        await appendIn(trx, vault, { projectId, conversationId: id, addedBy: null, items: first, nowMs: createdAtMs })
      })
    },

    async find(projectId, id) {
      if (!ID.test(id)) return null
      const row = await db
        .selectFrom('conversations')
        .selectAll()
        .where('id', '=', id)
        .where('project_id', '=', projectId)
        .executeTakeFirst()
      return row === undefined ? null : opened(row)
    },

    async setMetadata(projectId, id, metadataJson) {
      if (!ID.test(id)) return false
      const changed = await db
        .updateTable('conversations')
        .set({ metadata: vault.seal(metadataJson, contextOf(projectId, id, 'metadata')) })
        .where('id', '=', id)
        .where('project_id', '=', projectId)
        .returning('id')
        .execute()
      return changed.length > 0
    },

    async delete(projectId, id) {
      if (!ID.test(id)) return false
      const gone = await db
        .deleteFrom('conversations')
        .where('id', '=', id)
        .where('project_id', '=', projectId)
        .returning('id')
        .execute()
      return gone.length > 0
    },

    append: (turn) => db.transaction().execute((trx) => appendIn(trx, vault, turn)),

    async removeTurn(projectId, id, addedBy) {
      await db.transaction().execute((trx) => removeIn(trx, { projectId, id }, { column: 'added_by', value: addedBy }))
    },

    async size(projectId, id) {
      if (!ID.test(id)) return null
      return (await headOf(db, projectId, id).executeTakeFirst())?.bytes ?? null
    },

    async past(projectId, id, maxBytes) {
      if (!ID.test(id)) return null
      const head = await headOf(db, projectId, id).executeTakeFirst()
      if (head === undefined) return null
      const { bytes, next_position: upTo } = head
      if (bytes > maxBytes) return { items: null, bytes, upTo }
      const items = await itemsBefore(db, vault, { projectId, place: { id, upTo } })
      return items === null ? null : { items, bytes, upTo }
    },

    async page(projectId, id, { limit, order, after }) {
      if (!ID.test(id) || (after !== null && !ID.test(after))) return null
      const from =
        after === null
          ? null
          : await items(projectId).where('c.id', '=', id).where('i.id', '=', after).executeTakeFirst()
      if (from === undefined) return null
      let rows = items(projectId)
        .where('c.id', '=', id)
        .orderBy('i.position', order)
        .limit(limit + 1)
      if (from !== null) rows = rows.where('i.position', order === 'asc' ? '>' : '<', from.position)
      const found = await rows.execute()
      return { items: found.slice(0, limit).map((row) => itemOf(projectId, row)), hasMore: found.length > limit }
    },

    async findItem(projectId, id, itemId) {
      if (!ID.test(id) || !ID.test(itemId)) return null
      const row = await items(projectId).where('c.id', '=', id).where('i.id', '=', itemId).executeTakeFirst()
      return row === undefined ? null : itemOf(projectId, row)
    },

    async findItemAnywhere(projectId, itemId) {
      if (!ID.test(itemId)) return null
      const row = await items(projectId)
        .where('i.id', '=', itemId)
        .orderBy('i.created_at', 'desc')
        .limit(1)
        .executeTakeFirst()
      return row === undefined ? null : itemOf(projectId, row)
    },

    async deleteItem(projectId, id, itemId) {
      if (!ID.test(id) || !ID.test(itemId)) return false
      const which = { column: 'id', value: itemId } as const
      return (await db.transaction().execute((trx) => removeIn(trx, { projectId, id }, which))) > 0
    },

    async deleteProject(projectId) {
      const gone = await db.deleteFrom('conversations').where('project_id', '=', projectId).returning('id').execute()
      return gone.length
    },
  }
}

/**
 * The items of a conversation before a position, oldest first, as far as they are still there.
 * @returns null when there is no such conversation in the project
 */
export async function itemsBefore(
  db: Kysely<Schema>,
  vault: Sealing,
  { projectId, place }: { readonly projectId: string; readonly place: ConversationPlace },
): Promise<ConversationItem[] | null> {
  // The left side stands for the conversation itself: one without items is there all the same.
  const { rows } = await sql<{ conversation_id: string | null; id: string; item: string }>`
    select i.conversation_id, i.id, i.item from conversations c
    left join conversation_items i on i.conversation_id = c.id and i.position < ${place.upTo}
    where c.id = ${place.id} and c.project_id = ${projectId}
    order by i.position`.execute(db)
  if (rows.length === 0) return null
  return rows.flatMap(({ conversation_id, ...row }) =>
    conversation_id === null ? [] : [openItem(vault, projectId, { ...row, conversation_id })],
  )
}

function headOf(db: Kysely<Schema>, projectId: string, id: string) {
  return db
    .selectFrom('conversations')
    .select(['next_position', 'bytes'])
    .where('id', '=', id)
    .where('project_id', '=', projectId)
}

async function appendIn(
  trx: Kysely<Schema>,
  vault: Sealing,
  { projectId, conversationId, addedBy, items, nowMs }: ConversationTurn,
): Promise<readonly ConversationItem[] | null> {
  const head = await locked(trx, projectId, conversationId)
  if (head === undefined) return null
  if (addedBy !== null && (await isThere(trx, conversationId, addedBy))) return items
  const first = head.next_position
  const taken = await takenIds(trx, conversationId, items)
  const added = items.map(({ id, itemJson }, at) => {
    const free = taken.has(id) ? `${id}_${first + at}` : id
    taken.add(free)
    return { id: free, itemJson }
  })
  const rows = added.map(({ id, itemJson }, at) => ({
    conversation_id: conversationId,
    position: first + at,
    id,
    added_by: addedBy,
    item: vault.seal(itemJson, contextOf(projectId, conversationId, `item:${id}`)),
    bytes: new TextEncoder().encode(itemJson).length,
    created_at: new Date(nowMs),
  }))
  for (const some of chunks(rows)) await trx.insertInto('conversation_items').values(some).execute()
  const bytes = rows.reduce((sum, row) => sum + row.bytes, 0)
  await grow(trx, conversationId, { items: rows.length, bytes })
  return added
}

/**
 * The conversation, locked until the transaction ends: who adds or takes away does so one after the other, and its row
 * always first, since two that wait for each other would end in an error.
 */
function locked(trx: Kysely<Schema>, projectId: string, id: string) {
  return headOf(trx, projectId, id).forUpdate().executeTakeFirst()
}

async function isThere(trx: Kysely<Schema>, conversationId: string, addedBy: string): Promise<boolean> {
  const row = await trx
    .selectFrom('conversation_items')
    .select('position')
    .where('conversation_id', '=', conversationId)
    .where('added_by', '=', addedBy)
    .limit(1)
    .executeTakeFirst()
  return row !== undefined
}

/** Those of the items' ids that are there already. */
async function takenIds(
  trx: Kysely<Schema>,
  conversationId: string,
  items: readonly ConversationItem[],
): Promise<Set<string>> {
  const taken = new Set<string>()
  for (const some of chunks(items)) {
    const rows = await trx
      .selectFrom('conversation_items')
      .select('id')
      .where('conversation_id', '=', conversationId)
      .where(
        'id',
        'in',
        some.map(({ id }) => id),
      )
      .execute()
    for (const { id } of rows) taken.add(id)
  }
  return taken
}

/** Positions are never given twice: what is taken away lowers the bytes alone. */
async function grow(
  trx: Kysely<Schema>,
  id: string,
  by: { readonly items: number; readonly bytes: number },
): Promise<void> {
  await trx
    .updateTable('conversations')
    .set((row) => ({ next_position: row('next_position', '+', by.items), bytes: row('bytes', '+', by.bytes) }))
    .where('id', '=', id)
    .execute()
}

/** @returns how many items are gone */
async function removeIn(
  trx: Kysely<Schema>,
  { projectId, id }: { readonly projectId: string; readonly id: string },
  which: { readonly column: 'id' | 'added_by'; readonly value: string },
): Promise<number> {
  if ((await locked(trx, projectId, id)) === undefined) return 0
  const gone = await trx
    .deleteFrom('conversation_items')
    .where('conversation_id', '=', id)
    .where(which.column, '=', which.value)
    .returning('bytes')
    .execute()
  await grow(trx, id, { items: 0, bytes: -gone.reduce((sum, row) => sum + row.bytes, 0) })
  return gone.length
}

function* chunks<T>(all: readonly T[]): Generator<T[]> {
  for (let from = 0; from < all.length; from += ROWS) yield all.slice(from, from + ROWS)
}

function openItem(vault: Sealing, projectId: string, row: ItemRow): ConversationItem {
  const context = contextOf(projectId, row.conversation_id, `item:${row.id}`)
  return { id: row.id, itemJson: vault.open(row.item, context) }
}

/** An envelope can't be opened as another conversation's, another item's, nor another project's. */
export function contextOf(projectId: string, id: string, part: string): string {
  return `conversation:${projectId}:${id}:${part}`
}
