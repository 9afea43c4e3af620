import { asBuffer, fromText } from '../bytes.ts'
import type { Proof } from '../model.ts'
import { openProof, sealProof } from '../proof.ts'

const SEAL = 'watchllm.'

/**
 * A proof as a thought signature for a caller of this wire. Signatures are bytes to Google's clients, which refuse what
 * is no base64: another wire's proof is sealed, then written as base64.
 */
export function signatureOf(proof: Proof): string {
  const sealed = sealProof(proof, 'gemini')
  return proof.wire === 'gemini' ? sealed : asBuffer(fromText(sealed)).toString('base64')
}

/** The proof that came as a thought signature. */
export function proofIn(signature: string): Proof {
  const bytes = Uint8Array.from(atobOrNothing(signature), (char) => char.charCodeAt(0))
  const text = asBuffer(bytes).toString()
  return openProof(text.startsWith(SEAL) ? text : signature, 'gemini')
}

/** Some clients write base64 for addresses, where two signs differ. */
function atobOrNothing(base64: string): string {
  try {
    return atob(base64.replaceAll('-', '+').replaceAll('_', '/'))
  } catch {
    return ''
  }
}
