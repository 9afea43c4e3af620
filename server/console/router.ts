import { audit } from './audit.ts'
import { credentials } from './credentials.ts'
import { invitations } from './invitations.ts'
import { keys } from './keys.ts'
import { me } from './me.ts'
import { members } from './members.ts'
import { organizations } from './organizations.ts'
import { platform } from './platform.ts'
import { projects } from './projects.ts'
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
  usage,
  audit,
  platform,
})

export type AppRouter = typeof appRouter
