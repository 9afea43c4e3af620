import { Buffer } from 'node:buffer'
import type { KeptTurn } from '../../../db/model/responses.ts'
import { type Json, records } from '../openai-chat/values.ts'
import { inputItemsOf, itemsOfAnswer, shownItem } from './state.ts'

/** What kept turns hold, item by item. */

/** Longer ids are nobody's. */
const MAX_ID = 256
const VISIBLE = /^[\x21-\x7e]+$/

/** Everything that was said in those turns, in order. */
export function saidIn(turns: readonly KeptTurn[]): Json[] {
  return turns.flatMap((turn) => [...inputOf(turn), ...outputOf(turn)])
}

/** The items that a turn added, as its caller sent them. */
export function inputOf({ inputJson }: Pick<KeptTurn, 'inputJson'>): Json[] {
  return records(JSON.parse(inputJson))
}

export function outputOf({ answerJson }: Pick<KeptTurn, 'answerJson'>): Json[] {
  return itemsOfAnswer(JSON.parse(answerJson))
}

/** The items that a turn added, as lists show them: whole, and with an id each. */
export function shownInput(turn: Pick<KeptTurn, 'id' | 'inputJson' | 'inputIds'>): Json[] {
  const { id, inputJson, inputIds } = turn
  if (inputIds !== undefined) return inputOf(turn).map((item, index) => shownItem(item, inputIds[index]!))
  return inputItemsOf(Buffer.from(`{"input":${inputJson}}`), id.replace(/^resp_/, ''))
}

/** What a turn's items can be referred to by. */
export function idsOf(turn: KeptTurn): string[] {
  return [...byId(turn).keys()].filter(isUsable)
}

/** True for what can be asked for by its name. */
export function isUsable(id: unknown): id is string {
  return typeof id === 'string' && id.length <= MAX_ID && VISIBLE.test(id)
}

/** A turn's items by their ids. */
export function byId(turn: KeptTurn): Map<string, Json> {
  const found = new Map<string, Json>()
  const own = inputOf(turn)
  for (const [index, item] of shownInput(turn).entries()) found.set(String(item.id), own[index]!)
  for (const item of outputOf(turn)) if (typeof item.id === 'string') found.set(item.id, item)
  return found
}
