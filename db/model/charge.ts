/**
 * What an organization's credits pay for a call: its cost times what the organization's and the model's multipliers make
 * of it. Multipliers are integers, so that money stays exact.
 */

/** The multiplier that changes nothing. */
export const MULTIPLIER_ONE = 10_000
/** 100 times the list price. */
export const MAX_MULTIPLIER = 1_000_000

const ONES = 100_000_000n

export interface Multipliers {
  readonly organization: number
  readonly model: number
}

/** How a call was paid, as the record keeps it beside `chargedPico`. */
export type Charge =
  | {
      readonly paidBy: 'credits'
      readonly multipliers: Multipliers
      /** What was held of the credits while the call ran. */
      readonly reservedPico: number
      /** What nobody pays: the part of the charge that no hold covered. */
      readonly waivedPico: number
    }
  /** The project's own account at the provider: nothing is charged. */
  | { readonly paidBy: 'own_key' }

/**
 * Cost x organization's x model's multiplier in whole pico-dollars, half a pico-dollar up.
 * @param costPico not below zero. More than a record holds (9 007 USD) is charged as that much.
 */
export function chargePico(costPico: number, { organization, model }: Multipliers): number {
  if (organization === MULTIPLIER_ONE && model === MULTIPLIER_ONE) return costPico
  const exact = BigInt(costPico) * BigInt(organization) * BigInt(model)
  const charge = (exact * 2n + ONES) / (ONES * 2n)
  return charge > MAX_CHARGE ? Number.MAX_SAFE_INTEGER : Number(charge)
}

const MAX_CHARGE = BigInt(Number.MAX_SAFE_INTEGER)

/** Of all calls with the project's own account. */
export const OWN_KEY_CHARGE = '{"paidBy":"own_key"}'

/** As CallRecord.charge has it. */
export function writeCharge(charge: Charge): string {
  if (charge.paidBy === 'own_key') return OWN_KEY_CHARGE
  const { multipliers, reservedPico, waivedPico } = charge
  return (
    `{"paidBy":"credits","multipliers":{"organization":${multipliers.organization},"model":${multipliers.model}}` +
    `,"reservedPico":${reservedPico},"waivedPico":${waivedPico}}`
  )
}

/** @returns null when nothing was written, and for what isn't a Charge */
export function readCharge(text: string | null): Charge | null {
  if (text === null) return null
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof value !== 'object' || value === null) return null
  const { paidBy, multipliers, reservedPico, waivedPico } = value as Record<string, unknown>
  if (paidBy === 'own_key') return { paidBy }
  if (paidBy !== 'credits' || typeof multipliers !== 'object' || multipliers === null) return null
  const { organization, model } = multipliers as Record<string, unknown>
  if (!isAmount(organization) || !isAmount(model) || !isAmount(reservedPico) || !isAmount(waivedPico)) return null
  return { paidBy, multipliers: { organization, model }, reservedPico, waivedPico }
}

function isAmount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
