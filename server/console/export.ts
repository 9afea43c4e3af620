import type { z } from 'zod'
import type { ProcedureName } from './access.ts'
import { type Context, enter, enterOperating, type Within } from './trpc.ts'

/** An answer too long for a procedure: streamed over REST only, under a row of the table like any procedure. */
export interface Export {
  readonly procedure: ProcedureName
  /** As in `meta.openapi` of procedures; asked by GET. */
  readonly path: `/${string}`
  readonly tags: readonly string[]
  readonly summary: string
  /** Of the path and the query. */
  readonly input: z.ZodObject
  readonly contentType: string
  /** Lets the caller in. @returns what makes a Response whose body is made as it is read, of a checked input. @throws GatewayError */
  enter(ctx: Context): (input: Readonly<Record<string, unknown>>) => Promise<Response>
}

/** An export with its input's type: `answer` gets what `input` makes of the request. */
export function streamed<Input extends z.ZodObject>(
  made: Omit<Export, 'input' | 'enter'> & {
    readonly input: Input
    readonly answer: (ctx: Context & Within, input: z.output<Input>) => Promise<Response>
  },
): Export {
  const { answer, ...rest } = made
  return {
    ...rest,
    enter(ctx) {
      const entered = enter(ctx, made.procedure)
      return (input) => answer(entered, input as z.output<Input>)
    },
  }
}

/** The same for who runs this installation: of no organization. */
export function streamedForOperator<Input extends z.ZodObject>(
  made: Omit<Export, 'input' | 'enter'> & {
    readonly input: Input
    readonly answer: (ctx: Context, input: z.output<Input>) => Promise<Response>
  },
): Export {
  const { answer, ...rest } = made
  return {
    ...rest,
    enter(ctx) {
      const entered = enterOperating(ctx, made.procedure)
      return (input) => answer(entered, input as z.output<Input>)
    },
  }
}

/** The last line of an export that could not be read to its end: without it a part would pass for the whole. */
const BROKEN_OFF = '\r\nThe export broke off here: ask again\r\n'

/**
 * A body of text that is made only as fast as it is read; when the reader leaves, its source is ended.
 * @param onBroken told of what stopped the source; the reader finds it said in the last line
 */
export function streamBody(
  pieces: AsyncIterable<string>,
  onBroken: (cause: unknown) => void,
): ReadableStream<Uint8Array> {
  const source = pieces[Symbol.asyncIterator]()
  const encoder = new TextEncoder()
  const next = (): Promise<IteratorResult<string>> =>
    source.next().catch((cause: unknown) => {
      onBroken(cause)
      return { done: true, value: BROKEN_OFF }
    })
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const { done, value } = await next()
      if (typeof value === 'string') controller.enqueue(encoder.encode(value))
      if (done === true) controller.close()
    },
    async cancel() {
      await source.return?.()
    },
  })
}
