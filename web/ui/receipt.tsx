import { For, Show } from 'solid-js'
import { digitsOf, formatCount, formatMs, formatRate, formatUsd } from './format.ts'

export interface ReceiptCounter {
  readonly counter: string
  readonly tokens: number
  /** Decimal strings, null when no price is known. */
  readonly usdPerMillion: string | null
  readonly usd: string | null
}

/** What the receipt of one call says; null where it is silent. */
export interface ReceiptFacts {
  readonly usage: readonly { readonly counter: string; readonly tokens: number }[]
  readonly lines: readonly ReceiptCounter[]
  /** Decimal string, null when no price is known. */
  readonly costUsd: string | null
  readonly source: string | null
  readonly priceVersion: string | null
  readonly latencyMs: number | null
  readonly overheadMs: number | null
  readonly firstByteMs: number | null
  readonly attempts: number
}

const NAMES: Record<string, string> = {
  input: 'Fresh input',
  cache_read: 'Cache read',
  cache_write_5m: 'Cache write, 5 minutes',
  cache_write_1h: 'Cache write, 1 hour',
  output: 'Output',
  reasoning: 'of it reasoning',
  audio_input: 'Audio input',
  audio_output: 'Audio output',
  image_input: 'Image input',
  image_output: 'Image output',
}

function amount(usd: string | null, free: boolean, digits: number): string {
  if (usd === null) return free ? 'free' : 'no price known'
  return free && Number(usd) === 0 ? 'free' : formatUsd(usd, digits)
}

/** The priced counters, then the part of output that is counted but never priced; unpriced, the bare counters. */
export function linesOf(receipt: ReceiptFacts): ReceiptCounter[] {
  const priced = receipt.lines.length > 0
  const bare = receipt.usage.filter((line) => !priced || line.counter === 'reasoning')
  return [...receipt.lines, ...bare.map((line) => ({ ...line, usdPerMillion: null, usd: null }))]
}

function notesOf(receipt: ReceiptFacts): string[] {
  const { source, priceVersion, overheadMs, latencyMs, firstByteMs, attempts } = receipt
  return [
    source === 'provider' ? 'Usage as reported by the provider' : '',
    source === 'estimated' ? 'Usage estimated: the provider reported none' : '',
    priceVersion ? `prices ${priceVersion}` : '',
    latencyMs === null ? '' : `${formatMs(latencyMs)} in the gateway`,
    overheadMs === null ? '' : `${formatMs(overheadMs)} of it ours`,
    firstByteMs === null ? '' : `first byte after ${formatMs(firstByteMs)}`,
    attempts > 1 ? `${attempts} attempts` : '',
  ].filter((note) => note !== '')
}

/** How the cost came to be: counter × rate = amount, exact, so that the lines add up to the total. */
export function Receipt(props: {
  receipt: ReceiptFacts
  /** A sandbox call: nothing is charged. */
  free: boolean
}) {
  const lines = () => linesOf(props.receipt)
  const digits = () => digitsOf([props.receipt.costUsd, ...lines().map((line) => line.usd)])
  return (
    <section class="stack" aria-label="Receipt">
      <h3>What it cost</h3>
      <ul class="sum">
        <For each={lines()}>
          {(line) => (
            <li classList={{ op: line.counter === 'reasoning' }}>
              <span class="trunc">{NAMES[line.counter] ?? line.counter}</span>
              <span class="num">{formatCount(line.tokens)}</span>
              <span class="num op">
                <Show when={line.usdPerMillion}>{(rate) => `× ${formatRate(rate())} / M`}</Show>
              </span>
              <span class="num">{line.counter === 'reasoning' ? '' : amount(line.usd, props.free, digits())}</span>
            </li>
          )}
        </For>
        <li class="tot">
          <span>Total</span>
          <span />
          <span />
          <span class="num">{amount(props.receipt.costUsd, props.free, digits())}</span>
        </li>
      </ul>
      <p class="small faint">
        <For each={notesOf(props.receipt)}>
          {(note, at) => (
            <>
              <Show when={at() > 0}>
                {' '}
                <span class="md">·</span>{' '}
              </Show>
              {note}
            </>
          )}
        </For>
      </p>
    </section>
  )
}
