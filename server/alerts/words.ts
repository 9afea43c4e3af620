import type { FiringEvent, QuotaEvent } from '../../db/model/alerts.ts'
import { formatUsd, PICO_PER_NANO } from '../../db/model/money.ts'

/** What happened and what to do about it, for people: one line each, whatever names hold. */
export interface Words {
  readonly message: string
  readonly advice: string
}

/** Whose event it is, as people call it. */
export interface EventNames {
  readonly organization: string
  readonly project: string | null
  readonly key: string | null
}

const MAX_NAME = 100
const MAX_REASON = 300

/** @param names null: of the installation as a whole */
export function wordsFor(event: FiringEvent, names: EventNames | null): Words {
  const whose = whoseOf(event, names)
  switch (event.kind) {
    case 'quota':
    case 'budget':
      return quotaWords(event, whose)
    case 'spend': {
      const spent = `${formatUsd(event.spentPico)} USD`
      const message = `${whose} spent ${spent} this ${event.period}, and ${usd(event.amountNano)} is the mark of this rule`
      return { message, advice: 'Nothing is refused by this rule: set a budget where spending has to end.' }
    }
    case 'error_rate': {
      const share = `${event.errors} of ${event.calls} calls failed in the last ${hours(event.windowHours)}`
      const message = `${whose}: ${share}, and ${event.percent} % is the mark of this rule`
      return { message, advice: 'The log of calls tells what failed, and at which provider.' }
    }
    case 'credits_low': {
      const message = `${whose} has ${formatUsd(event.balancePico)} USD of credits left`
      return { message, advice: 'Top up in time: calls that credits pay for are refused when they are used up.' }
    }
    case 'payment_failed': {
      const message = `A payment of ${lower(whose)} failed${event.failures > 1 ? `, ${event.failures} times in a row` : ''}`
      const advice = 'Check the means of payment in the billing pages: after 3 failures the plan ends.'
      return { message, advice }
    }
    case 'provider_paused': {
      const message = `The provider ${name(event.provider)} is paused: ${line(event.reason, MAX_REASON)}`
      return { message, advice: 'No calls go there until somebody who runs this gateway resumes it.' }
    }
    case 'provider_down': {
      const message = `The provider ${name(event.provider)} is down: ${line(event.reason, MAX_REASON)}`
      return { message, advice: 'Calls go elsewhere where their routing lets them; it is tried again by itself.' }
    }
    case 'credential_refused': {
      const { provider, credential } = event
      const what = credential === 'env' ? 'the key of the environment' : `the key ${name(credential)}`
      const message = `The provider ${name(provider)} refuses ${what}: it is wrong, or its account has no credit left`
      const advice = 'Calls go without it where there is another, and it is tried again now and then.'
      return { message, advice: `${advice} Change the key, or see to its account at the provider.` }
    }
    case 'price_missing': {
      const message = `No price is known for the model ${name(event.model)} of ${name(event.provider)}`
      const advice =
        'Its calls have no cost, and are refused where credits or a spending limit would have to pay for them.'
      return { message, advice: `${advice} Whoever runs this gateway can set a price.` }
    }
    case 'test':
      return { message: `This is a test for ${lower(whose)}`, advice: 'It arrived: there is nothing to do.' }
  }
}

/** Without whatever could end a line, turn it around or hide in it. */
export function line(text: string, max: number): string {
  return text
    .replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/\s+/g, ' ')
    .trim()
    .slice(0, max)
    .replace(/\p{Cs}+$/u, '')
}

function name(text: string): string {
  return `"${line(text, MAX_NAME).replaceAll('"', "'")}"`
}

function whoseOf(event: FiringEvent, names: EventNames | null): string {
  if (names === null) return 'The installation'
  const { project, key } = names
  const of = 'projectId' in event ? event : { projectId: null, keyId: null }
  if (of.keyId !== null) return `The key ${name(key ?? of.keyId)} of the project ${name(project ?? of.projectId ?? '')}`
  if (of.projectId !== null) return `The project ${name(project ?? of.projectId)}`
  return `The organization ${name(names.organization)}`
}

function lower(whose: string): string {
  return whose.replace(/^The/, 'the')
}

function quotaWords(event: QuotaEvent, whose: string): Words {
  const { kind, percent, what, limit, period, resetMs } = event
  const amount = what === 'spend' ? usd(limit) : `${limit} ${what}`
  const each = period === 'total' ? 'in total' : `a ${period}`
  const noun = kind === 'budget' ? 'budget' : 'limit'
  const message = `${whose} has used ${percent} % of the ${noun} of ${amount} ${each}`
  const until = resetMs === null ? 'until it is raised' : `until ${new Date(resetMs).toISOString()}`
  const beyond =
    kind === 'budget'
      ? 'Beyond it calls go on if it is soft, and are refused if it is hard'
      : 'Beyond it calls are refused'
  return { message, advice: `${beyond}, ${until}. Raise it if that is not meant to happen.` }
}

function hours(count: number): string {
  return count === 1 ? 'hour' : `${count} hours`
}

/** @param nano nano-dollars */
export function usd(nano: number): string {
  return `${formatUsd(BigInt(nano) * BigInt(PICO_PER_NANO))} USD`
}
