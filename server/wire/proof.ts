import type { Proof } from './model.ts'
import type { WireId } from './wire.ts'

/**
 * A proof on its way through a wire that isn't its own: `watchllm.<wire>.<data>`. Clients keep it unread, as they keep
 * their own provider's, and send it back with the thought.
 */
export function sealProof(proof: Proof, through: WireId): string {
  return proof.wire === through ? proof.data : `watchllm.${proof.wire}.${proof.data}`
}

/** What a client sent back as proof on `wire`. */
export function openProof(text: string, wire: WireId): Proof {
  const sealed = /^watchllm\.([a-z-]+)\./.exec(text)
  if (sealed === null) return { wire, data: text }
  return { wire: sealed[1] as WireId, data: text.slice(sealed[0].length) }
}
