import { alerts } from './alerts.ts'
import { audit } from './audit.ts'
import { billing } from './billing.ts'
import { budgets } from './budgets.ts'
import { callBodies } from './call-bodies.ts'
import { credentials } from './credentials.ts'
import { credits } from './credits.ts'
import { invitations } from './invitations.ts'
import { keys } from './keys.ts'
import { me } from './me.ts'
import { members } from './members.ts'
import { multipliers } from './multipliers.ts'
import { organizations } from './organizations.ts'
import { plans } from './plans.ts'
import { platform } from './platform.ts'
import { projects } from './projects.ts'
import { reconcile } from './reconcile.ts'
import { rerates } from './rerates.ts'
import { setup } from './setup.ts'
import { tokens } from './tokens.ts'
import { router } from './trpc.ts'
import { usage } from './usage.ts'

/** All procedures of the control plane: the same ones over tRPC, over REST and in `watchllm/client`. */
export const appRouter = router({
  setup,
  me,
  organizations,
  members,
  invitations,
  tokens,
  projects,
  keys,
  credentials,
  budgets,
  usage,
  callBodies,
  billing,
  credits,
  multipliers,
  rerates,
  alerts,
  audit,
  plans,
  platform,
  reconcile,
})

export type AppRouter = typeof appRouter
