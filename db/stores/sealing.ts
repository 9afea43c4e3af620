/** Keeps texts unreadable at rest; see db/vault.ts. */
export interface Sealing {
  seal(text: string, context: string): string
  open(envelope: string, context: string): string
}
