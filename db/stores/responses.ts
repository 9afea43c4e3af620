import { type Kysely, type Selectable, sql } from 'kysely'
import type { KeptResponse, KeptTurn, ResponseStatus } from '../model/responses.ts'
import type { Schema } from '../schema/index.ts'
import type { ResponsesTable } from '../schema/responses.ts'
import { itemsBefore } from './conversations.ts'
import type { Sealing } from './sealing.ts'

/** What changes when a response that runs in the background ends. */
export interface EndOfResponse {
  readonly id: string
  readonly projectId: string
  readonly status: ResponseStatus
  readonly answerJson: string
  readonly itemIds: readonly string[]
}

/**
 * Kept answers of the Responses API. A project sees its own and no other's; what has expired is as good as deleted; and
 * what is deleted is gone from the table.
 */
export interface ResponseStore {
  /** Readable by everybody when it resolves. Giving the same again changes nothing. */
  save(response: KeptResponse): Promise<void>
  /** Ends one that runs. @returns false when it has ended already, or was deleted */
  finish(end: EndOfResponse): Promise<boolean>
  find(projectId: string, id: string, nowMs: number): Promise<KeptResponse | null>
  /**
   * The turns that lead to a response, itself last; null when it is unknown. Where one before it is gone, the chain
   * begins with the first that is still there and `whole` is false. Where the first goes on from a conversation, one turn
   * with what it read there, as far as that is kept, stands before it; `whole` is false when the conversation is gone.
   */
  chain(projectId: string, id: string, nowMs: number): Promise<Chain | null>
  /** The youngest response that has an item of that id. */
  findItem(projectId: string, itemId: string, nowMs: number): Promise<KeptTurn | null>
  /** @returns false when there is none */
  delete(projectId: string, id: string): Promise<boolean>
  /** Says that a response is still worked on. @returns its status, null when it was deleted */
  beat(projectId: string, id: string, nowMs: number): Promise<ResponseStatus | null>
  /** Keeps a chain for as long as what goes on from it. */
  prolong(projectId: string, ids: readonly string[], expiresAtMs: number): Promise<void>
  /** Deletes what has expired. @returns how many there were */
  sweep(nowMs: number): Promise<number>
}

export interface Chain {
  readonly turns: readonly KeptTurn[]
  readonly whole: boolean
  readonly status: ResponseStatus
}

/** Rows deleted by one statement. */
const SWEEP_ROWS = 500
/** A chain is prolonged when that changes its end by more than this. */
const PROLONG_STEP_MS = 24 * 3_600_000

/** What PostgreSQL can't hold in a text: NUL and halves of surrogate pairs. */
const UNSTORABLE = /[\0\p{Surrogate}]/gu

type Row = Selectable<ResponsesTable>

export function responseStore(db: Kysely<Schema>, vault: Sealing): ResponseStore {
  const turn = (row: Pick<Row, 'id' | 'project_id' | 'input' | 'answer'>): KeptTurn => ({
    id: row.id,
    inputJson: vault.open(row.input, contextOf(row.project_id, row.id, 'input')),
    answerJson: vault.open(row.answer, contextOf(row.project_id, row.id, 'answer')),
  })

  return {
    async save(response) {
      const { id, projectId } = response
      await db
        .insertInto('responses')
        .values({
          id,
          project_id: projectId,
          organization_id: response.organizationId,
          key_id: response.keyId,
          conversation: response.conversation?.id ?? null,
          conversation_up_to: response.conversation?.upTo ?? null,
          previous_id: response.previousId,
          model: storable(response.model),
          status: response.status,
          input: vault.seal(response.inputJson, contextOf(projectId, id, 'input')),
          answer: vault.seal(response.answerJson, contextOf(projectId, id, 'answer')),
          item_ids: textArray(response.itemIds),
          created_at: new Date(response.createdAtMs),
          expires_at: new Date(response.expiresAtMs),
          alive_at: response.aliveAtMs === null ? null : new Date(response.aliveAtMs),
        })
        .onConflict((conflict) => conflict.column('id').doNothing())
        .execute()
    },

    async finish({ id, projectId, status, answerJson, itemIds }) {
      const ended = await db
        .updateTable('responses')
        .set({
          status,
          answer: vault.seal(answerJson, contextOf(projectId, id, 'answer')),
          item_ids: textArray(itemIds),
        })
        .where('id', '=', id)
        .where('project_id', '=', projectId)
        .where('status', 'in', ['queued', 'in_progress'])
        .returning('id')
        .execute()
      return ended.length > 0
    },

    async find(projectId, id, nowMs) {
      const row = await db
        .selectFrom('responses')
        .selectAll()
        .where('id', '=', id)
        .where('project_id', '=', projectId)
        .where('expires_at', '>', new Date(nowMs))
        .executeTakeFirst()
      return row === undefined ? null : { ...turn(row), ...restOf(row) }
    },

    async chain(projectId, id, nowMs) {
      const { rows } = await sql<Row>`
        with recursive chain as (
          select r.*, 0 as depth from responses r
          where r.id = ${id} and r.project_id = ${projectId} and r.expires_at > ${new Date(nowMs)}
          union all
          select r.*, c.depth + 1 from responses r join chain c on r.id = c.previous_id
          where r.project_id = ${projectId} and r.expires_at > ${new Date(nowMs)}
        )
        select id, project_id, previous_id, conversation, conversation_up_to, status, input, answer from chain order by depth desc`.execute(
        db,
      )
      const [first, last] = [rows[0], rows[rows.length - 1]]
      if (first === undefined || last === undefined) return null
      const turns = rows.map(turn)
      const place = placeOf(first)
      if (first.previous_id !== null || place === null) {
        return { turns, whole: first.previous_id === null, status: last.status }
      }
      const items = await itemsBefore(db, vault, { projectId, place })
      const read = {
        id: place.id,
        inputIds: (items ?? []).map((item) => item.id),
        inputJson: `[${(items ?? []).map((item) => item.itemJson).join()}]`,
        answerJson: '{}',
      }
      return { turns: [read, ...turns], whole: items !== null, status: last.status }
    },

    async findItem(projectId, itemId, nowMs) {
      const row = await db
        .selectFrom('responses')
        .select(['id', 'project_id', 'input', 'answer'])
        .where('item_ids', '@>', textArray([itemId]))
        .where('project_id', '=', projectId)
        .where('expires_at', '>', new Date(nowMs))
        .orderBy('created_at', 'desc')
        .limit(1)
        .executeTakeFirst()
      return row === undefined ? null : turn(row)
    },

    async delete(projectId, id) {
      const gone = await db
        .deleteFrom('responses')
        .where('id', '=', id)
        .where('project_id', '=', projectId)
        .returning('id')
        .execute()
      return gone.length > 0
    },

    async beat(projectId, id, nowMs) {
      const row = await db
        .updateTable('responses')
        .set({ alive_at: new Date(nowMs) })
        .where('id', '=', id)
        .where('project_id', '=', projectId)
        .returning('status')
        .executeTakeFirst()
      return row?.status ?? null
    },

    async prolong(projectId, ids, expiresAtMs) {
      if (ids.length === 0) return
      await db
        .updateTable('responses')
        .set({ expires_at: new Date(expiresAtMs) })
        .where('id', 'in', ids)
        .where('project_id', '=', projectId)
        .where('expires_at', '<', new Date(expiresAtMs - PROLONG_STEP_MS))
        .execute()
    },

    async sweep(nowMs) {
      let swept = 0
      for (;;) {
        const { rows } = await sql`
          delete from responses where id in (
            select id from responses where expires_at <= ${new Date(nowMs)} limit ${SWEEP_ROWS}
          ) returning id`.execute(db)
        swept += rows.length
        if (rows.length < SWEEP_ROWS) return swept
      }
    },
  }
}

function restOf(row: Row): Omit<KeptResponse, keyof KeptTurn> {
  return {
    projectId: row.project_id,
    organizationId: row.organization_id,
    keyId: row.key_id,
    conversation: placeOf(row),
    previousId: row.previous_id,
    model: row.model,
    status: row.status,
    itemIds: row.item_ids,
    createdAtMs: row.created_at.getTime(),
    expiresAtMs: row.expires_at.getTime(),
    aliveAtMs: row.alive_at?.getTime() ?? null,
  }
}

function placeOf({ conversation, conversation_up_to }: Row): KeptResponse['conversation'] {
  return conversation === null ? null : { id: conversation, upTo: conversation_up_to ?? 0 }
}

/** An envelope can't be opened as another response's, nor as another project's. */
export function contextOf(projectId: string, id: string, part: 'input' | 'answer'): string {
  return `response:${projectId}:${id}:${part}`
}

/** The same on both engines: they differ in how they take arrays. */
function textArray(texts: readonly string[]) {
  const json = JSON.stringify(texts.map(storable))
  return sql<string[]>`array(select json_array_elements_text(${json}::json))`
}

function storable(text: string): string {
  return text.replace(UNSTORABLE, '')
}
