import { describe, expect, it, vi } from 'vitest'
import { accountsInOrder, affinityOf, drawerOf } from '../server/affinity.ts'
import type { Admitted } from '../server/call.ts'
import type { Weighted } from '../server/deps.ts'
import { systemRandom } from '../server/runtime/system.ts'
import { anthropicMessages } from '../server/wire/anthropic-messages/wire.ts'
import { gemini } from '../server/wire/gemini/wire.ts'
import { openaiChat } from '../server/wire/openai-chat/wire.ts'
import { openaiResponses } from '../server/wire/openai-responses/wire.ts'
import type { Wire } from '../server/wire/wire.ts'

interface Call {
  readonly body: object
  readonly wire?: Wire
  readonly headers?: Readonly<Record<string, string>>
  readonly projectId?: string
  readonly keeping?: object
  readonly model?: string
  /** As JSON.stringify takes it. */
  readonly indent?: number
}

function nameOf({ body, wire = openaiChat, headers = {}, model = 'gpt-4o', ...more }: Call): string | null {
  const said = wire === gemini ? { model, stream: false } : null
  const text = JSON.stringify(said === null ? { model, ...body } : body, null, more.indent)
  const ask = wire.readAsk(Buffer.from(text), said)
  return affinityOf({
    ask,
    incoming: { header: (name: string) => headers[name] ?? null },
    principal: { projectId: more.projectId ?? 'prj_a' },
    ...(more.keeping === undefined ? {} : { keeping: more.keeping }),
  } as Admitted)
}

const LONG = 'You are careful and never in a hurry, and you say what you do. '.repeat(100)
const HUGE = LONG.repeat(20)
const TOOLS = Array.from({ length: 90 }, (_, n) => ({
  type: 'function',
  function: { name: `tool_${n}`, parameters: {} },
}))

interface Turned {
  readonly name: string
  readonly wire: Wire
  /** The request of a turn, from 0 on, of the conversation that begins with those words. */
  turn(n: number, first: string): object
}

const past = <T>(n: number, make: (at: number) => T): T[] => Array.from({ length: n }, (_, at) => make(at))
const chatPast = (n: number) =>
  past(n, (at) => [
    { role: 'assistant', content: `Answer ${at}`, tool_calls: [] },
    { role: 'user', content: `And "then"? ${at}` },
  ]).flat()

/** How clients put their conversations, turn by turn. */
const CLIENTS: readonly Turned[] = [
  {
    name: 'chat with its system prompt among the messages',
    wire: openaiChat,
    turn: (n, first) => ({
      messages: [{ role: 'system', content: LONG }, { role: 'user', content: first }, ...chatPast(n)],
    }),
  },
  {
    name: 'chat with a huge system prompt',
    wire: openaiChat,
    turn: (n, first) => ({
      messages: [{ role: 'system', content: HUGE.slice(0, 20_000) }, { role: 'user', content: first }, ...chatPast(n)],
    }),
  },
  {
    name: 'chat with many tools and a text before its role',
    wire: openaiChat,
    turn: (n, first) => ({ tools: TOOLS, messages: [{ content: first, role: 'user' }, ...chatPast(n)], stream: true }),
  },
  {
    name: 'chat that puts parts for text later on',
    wire: openaiChat,
    turn: (n, first) => ({
      messages: [
        { role: 'user', content: n % 2 === 0 ? first : [{ type: 'text', text: first }] },
        ...chatPast(n),
        { role: 'user', content: LONG },
      ],
    }),
  },
  {
    name: 'messages with marks for the cache that move on',
    wire: anthropicMessages,
    turn: (n, first) => {
      const marked = (text: string, isLast: boolean) => [
        { type: 'text', text, ...(isLast ? { cache_control: { type: 'ephemeral' } } : {}) },
      ]
      const more = past(n, (at) => [
        { role: 'assistant', content: [{ type: 'text', text: `Answer ${at}` }] },
        { role: 'user', content: marked(`And then? ${at}`, at === n - 1) },
      ]).flat()
      const system = [{ type: 'text', text: LONG, cache_control: { type: 'ephemeral' } }]
      const messages = [{ role: 'user', content: marked(first, n === 0) }, ...more]
      return { max_tokens: 100, system, tools: [{ name: 'bash', input_schema: {} }], messages }
    },
  },
  {
    name: 'responses whose first input is a text, and later the whole list',
    wire: openaiResponses,
    turn: (n, first) => ({
      instructions: LONG,
      input:
        n === 0
          ? first
          : [
              { type: 'message', role: 'user', content: [{ type: 'input_text', text: first }] },
              ...past(n, (at) => [
                {
                  type: 'message',
                  role: 'assistant',
                  id: `msg_${at}`,
                  content: [{ type: 'output_text', text: 'Yes' }],
                },
                { role: 'user', content: `And then? ${at}` },
              ]).flat(),
            ],
    }),
  },
  {
    name: 'gemini',
    wire: gemini,
    turn: (n, first) => ({
      systemInstruction: { parts: [{ text: LONG }] },
      contents: [
        { role: 'user', parts: [{ text: first }] },
        ...past(n, (at) => [
          { role: 'model', parts: [{ text: `Answer ${at}` }] },
          { role: 'user', parts: [{ text: `And then? ${at}` }] },
        ]).flat(),
      ],
    }),
  },
]

const FIRST_WORDS = {
  short: 'Hi "there"\\',
  quoting: `Say "role":"user" and {"text": "user"} in ${'many '.repeat(60)}words`,
  foreign: '你好，朋友 '.repeat(40),
  long: LONG,
  huge: HUGE,
}

describe.each(CLIENTS.map((client) => [client.name, client] as const))(
  'a conversation by %s',
  (_name, { turn, wire }) => {
    describe.each(Object.entries(FIRST_WORDS))('that begins with %s words', (_kind, first) => {
      it.each([undefined, 2])('has one name through all its turns, written with indent %s', (indent) => {
        const names = past(8, (n) =>
          nameOf({ wire, body: turn(n, first), ...(indent === undefined ? {} : { indent }) }),
        )
        expect(new Set(names).size).toBe(1)
        expect(names[0]).toMatch(/^[\w-]{22}$/)
      })

      it('has another name than one that begins otherwise, of another model, or of another project', () => {
        const body = turn(2, first)
        const others = [
          nameOf({ wire, body: turn(2, `A${first}`) }),
          nameOf({ wire, body: turn(2, first.slice(0, 5)) }),
          nameOf({ wire, body, model: 'gpt-5' }),
          nameOf({ wire, body, projectId: 'prj_b' }),
          nameOf({ wire, body }),
        ]
        expect(new Set(others).size).toBe(others.length)
      })
    })
  },
)

describe('the name of a conversation', () => {
  const short = { messages: [{ role: 'user', content: 'Hi' }] }
  const long = { messages: [{ role: 'user', content: LONG }] }

  it('is none for what is too short to be kept by a provider', () => {
    expect(nameOf({ body: short })).toBeNull()
    const padded = (bytes: number) => ({
      ...short,
      user: 'u'.repeat(bytes - Buffer.byteLength(JSON.stringify({ model: 'gpt-4o', ...short, user: '' }))),
    })
    expect(nameOf({ body: padded(4095) })).toBeNull()
    expect(nameOf({ body: padded(4096) })).not.toBeNull()
  })

  const standing: readonly (readonly [Wire, string, unknown])[] = [
    [openaiChat, 'tools', TOOLS],
    [openaiChat, 'functions', TOOLS],
    [anthropicMessages, 'system', [{ type: 'text', text: LONG }]],
    [anthropicMessages, 'tools', TOOLS],
    [openaiResponses, 'instructions', LONG],
    [gemini, 'systemInstruction', { parts: [{ text: LONG }] }],
    [gemini, 'system_instruction', { parts: [{ text: LONG }] }],
  ]
  it.each(standing.map(([wire, ...more]) => [wire.id, ...more, wire] as const))(
    'by %s is another with other %s',
    (_id, member, value, wire) => {
      const asked =
        wire === openaiResponses
          ? { input: LONG }
          : wire === gemini
            ? { contents: [{ role: 'user', parts: [{ text: LONG }] }] }
            : long
      const body = { max_tokens: 10, ...asked }
      const changed = JSON.parse(JSON.stringify(value).replace(/.{3}(?=.{20}$)/, 'not'))
      const names = [body, { ...body, [member]: value }, { ...body, [member]: changed }].map((one) =>
        nameOf({ wire, body: one }),
      )
      expect(new Set(names).size).toBe(3)
      expect(nameOf({ wire, body: { ...body, [member]: value } })).toBe(names[1])
    },
  )

  it('is the caller’s own where it says one, however short the request and whatever is in it', () => {
    const said = [
      { body: { ...short, prompt_cache_key: 'k' } },
      { body: short, headers: { 'x-watchllm-memory': 'k' } },
      { body: short, keeping: { conversation: { id: 'k', upTo: 3 } } },
      { body: { ...short, metadata: { user_id: 'user_ab_account__session_7b0d1d52-2b6c-4c8e-9a54-0123456789ab' } } },
    ]
    const names = said.map((call) => nameOf(call))
    for (const name of names) expect(name).not.toBeNull()
    expect(new Set(names).size).toBe(said.length)
    for (const [at, call] of said.entries()) {
      expect(nameOf({ ...call, body: { ...call.body, messages: long.messages } })).toBe(names[at])
      expect(nameOf({ ...call, projectId: 'prj_b' })).not.toBe(names[at])
    }
    expect(nameOf({ body: short, headers: { 'x-waddleai-memory': 'k' } })).toBe(names[1])
  })

  it('finds Claude Code’s session in both of its forms', () => {
    const session = '7b0d1d52-2b6c-4c8e-9a54-0123456789ab'
    const forms = [`user_ff00_account__session_${session}`, JSON.stringify({ device_id: 'd', session_id: session })]
    const names = forms.map((user_id) => nameOf({ body: { ...short, metadata: { user_id } } }))
    expect(names[0]).toContain(session)
    expect(names[1]).toBe(names[0])
  })

  it.each([
    ['no text', { prompt_cache_key: 7 }],
    ['nothing', { prompt_cache_key: null }],
    ['an empty text', { prompt_cache_key: '' }],
    ['too long a text', { prompt_cache_key: 'k'.repeat(3000) }],
    ['a list', { metadata: ['session'] }],
    ['metadata without a session', { metadata: { user_id: 'user_1' } }],
  ])('is not taken from %s', (_name, more) => {
    expect(nameOf({ body: { ...short, ...more } })).toBeNull()
    expect(nameOf({ body: { ...long, prompt_cache_key: null } })).toBe(nameOf({ body: long }))
  })

  it('is short, whatever the caller says', () => {
    const name = nameOf({ body: short, headers: { 'x-watchllm-memory': 'm'.repeat(10_000) } })!
    expect(name.length).toBeLessThan(300)
  })

  it('of requests made of nothing usual can be told too', () => {
    const parts = ['tools', 'functions', 'system', 'instructions', 'systemInstruction', 'system_instruction']
    const odd: readonly object[] = [
      { messages: [{}], pad: LONG },
      { messages: [{ role: 'user' }], pad: LONG },
      { messages: [{ role: 'user', content: null }], pad: LONG },
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: HUGE } }] }] },
      { messages: past(5000, () => ({ role: 'assistant', content: 'x' })) },
      { messages: [{ role: 'user', content: '\\'.repeat(9000) }] },
      { ...Object.fromEntries(parts.map((part) => [part, HUGE])), messages: long.messages, model: 'm'.repeat(256) },
    ]
    for (const body of odd) expect(nameOf({ body })).toMatch(/^[\w-]{22}$/)
  })
})

describe('the order of accounts', () => {
  const weighted = (id: string, weight: number): Weighted => ({
    account: { id, own: false, apiKey: null, origin: 'https://a.example', basePath: '' },
    weight,
  })
  const draw = drawerOf(systemRandom())
  const ids = (pool: readonly Weighted[], name: string | null): string[] =>
    accountsInOrder(pool, { draw, affinity: () => name }).map(({ account }) => account.id)
  const names = past(20_000, (n) => `conversation ${n}`)

  it('of one is the very list, and nothing is asked or drawn', () => {
    const turn = { draw: vi.fn(), affinity: vi.fn() }
    for (const pool of [[], [weighted('a', 1)]]) expect(accountsInOrder(pool, turn)).toBe(pool)
    expect(turn.draw).not.toHaveBeenCalled()
    expect(turn.affinity).not.toHaveBeenCalled()
  })

  it.each([[[1, 1]], [[1, 3]], [[1000, 1]], [[5, 10, 85]], [[100, 100, 100, 100]]])(
    'has each of the weights %s first as often as its part of the sum, with and without a name',
    (weights) => {
      const pool = weights.map((weight, at) => weighted(`crd_${at}`, weight))
      const sum = weights.reduce((one, other) => one + other, 0)
      for (const of of [(name: string) => name, () => null]) {
        const firsts = names.map((name) => ids(pool, of(name))[0])
        for (const [at, weight] of weights.entries()) {
          const share = firsts.filter((id) => id === `crd_${at}`).length / names.length
          expect(Math.abs(share - weight / sum)).toBeLessThan(0.02)
        }
      }
    },
  )

  it('has all of them, once', () => {
    const pool = [weighted('a', 1), weighted('b', 50), weighted('c', 1000)]
    for (const name of [...names.slice(0, 500), ...past(500, () => null)]) {
      expect([...ids(pool, name)].sort()).toEqual(['a', 'b', 'c'])
    }
  })

  it('behind the first goes by the weights, too', () => {
    const pool = [weighted('a', 1000), weighted('b', 30), weighted('c', 10)]
    for (const of of [(name: string) => name, () => null]) {
      const seconds = names.map((name) => ids(pool, of(name))).filter(([first]) => first === 'a')
      const share = seconds.filter(([, second]) => second === 'b').length / seconds.length
      expect(Math.abs(share - 0.75)).toBeLessThan(0.02)
    }
  })

  it('of a name is the same on every instance, however its accounts were read', () => {
    const pool = [weighted('crd_a', 10), weighted('crd_b', 20), weighted('env', 30)]
    for (const name of names.slice(0, 1000)) {
      expect(ids([...pool].reverse(), name)).toEqual(
        ids(
          pool.map(({ account, weight }) => weighted(account.id, weight)),
          name,
        ),
      )
    }
  })

  it('of a name keeps its first when another account goes, and when one comes moves to that alone', () => {
    const pool = [weighted('a', 10), weighted('b', 20), weighted('c', 30), weighted('d', 40)]
    for (const gone of pool) {
      const left = pool.filter((one) => one !== gone)
      for (const name of names.slice(0, 2000)) {
        expect(ids(left, name)).toEqual(ids(pool, name).filter((id) => id !== gone.account.id))
      }
    }
  })
})
