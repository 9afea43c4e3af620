import { type Client, createClient, type Refusal, refusalOf } from '../../server/client.ts'
import type { FaultShape } from '../../server/console/fault-shape.ts'

/** The client is typed by the router. Nothing here runs: `tsc` checks it. */

declare const client: Client

export async function typed(): Promise<void> {
  const me = await client.me.get.query({})
  const email: string = me.email
  const { data, next_cursor } = await client.projects.list.query({ limit: 10 })
  const first: string | undefined = data[0]?.name
  const cursor: string | null = next_cursor
  const { api_key } = await client.projects.create.mutate({ name: 'One' })
  const key: string = api_key
  void [email, first, cursor, key]
}

export function refused(thrown: unknown): string | null {
  const refusal: Refusal | null = refusalOf(thrown)
  const error: FaultShape['data']['error'] | null = refusal
  return error === null ? null : error.code
}

export function wrong(): unknown[] {
  return [
    // @ts-expect-error no token
    createClient({ baseUrl: 'http://127.0.0.1' }),
    // @ts-expect-error no such procedure
    client.projects.all,
    // @ts-expect-error a query is no mutation
    client.projects.list.mutate,
    // @ts-expect-error no name
    client.projects.create.mutate({}),
    // @ts-expect-error a limit is a number
    client.projects.list.query({ limit: '10' }),
    // @ts-expect-error exports are files, not procedures
    client.usage.export,
  ]
}
