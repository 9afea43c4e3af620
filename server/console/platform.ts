import { platformCredentialProcedures } from './platform-credentials.ts'
import { platformHealthProcedures } from './platform-health.ts'
import { platformOrganizationProcedures } from './platform-organizations.ts'
import { platformPlanProcedures } from './platform-plans.ts'
import { platformProviderProcedures } from './platform-providers.ts'
import { router } from './trpc.ts'

/** What who runs this installation does for all organizations at once. */
export const platform = router({
  ...platformOrganizationProcedures,
  ...platformCredentialProcedures,
  ...platformProviderProcedures,
  ...platformHealthProcedures,
  ...platformPlanProcedures,
})
