import { platformCredentialProcedures } from './platform-credentials.ts'
import { platformOrganizationProcedures } from './platform-organizations.ts'
import { router } from './trpc.ts'

/** What who runs this installation does for all organizations at once. */
export const platform = router({ ...platformOrganizationProcedures, ...platformCredentialProcedures })
