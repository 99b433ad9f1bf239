import type { Handlers } from '@instatunnel/kit/unary'
import type { KeyDirectoryServiceServer } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import type { AdminKeyServiceServer } from '@instatunnel/proto/keys/v1/admin_key_service'
import type { ApiKeyServiceServer } from '@instatunnel/proto/keys/v1/api_key_service'
import { createKey } from './rpc/create-key.ts'
import { createSessionKey } from './rpc/create-session-key.ts'
import { deleteKey } from './rpc/delete-key.ts'
import type { Deps } from './rpc/deps.ts'
import { endGracePeriod } from './rpc/end-grace-period.ts'
import { explainKey } from './rpc/explain-key.ts'
import { getKey } from './rpc/get-key.ts'
import { getKeyRecord } from './rpc/get-key-record.ts'
import { leaseUses } from './rpc/lease-uses.ts'
import { listKeys } from './rpc/list-keys.ts'
import { listUserKeys } from './rpc/list-user-keys.ts'
import { lookUpKeys } from './rpc/look-up-keys.ts'
import { restoreKey } from './rpc/restore-key.ts'
import { revokeKey } from './rpc/revoke-key.ts'
import { revokeUserKeys } from './rpc/revoke-user-keys.ts'
import { rotateKey } from './rpc/rotate-key.ts'
import { settleUses } from './rpc/settle-uses.ts'
import { updateKey } from './rpc/update-key.ts'
import { verifyKey } from './rpc/verify-key.ts'

/** instatunnel.keys.v1.ApiKeyService: what users call. */
export const apiKeyService = (deps: Deps) =>
  ({
    listKeys: listKeys(deps),
    getKey: getKey(deps),
    createKey: createKey(deps),
    updateKey: updateKey(deps),
    deleteKey: deleteKey(deps),
    restoreKey: restoreKey(deps),
    rotateKey: rotateKey(deps),
    endGracePeriod: endGracePeriod(deps),
    verifyKey: verifyKey(deps),
    explainKey: explainKey(deps),
  }) satisfies Handlers<ApiKeyServiceServer>

/** instatunnel.keys.v1.AdminKeyService: what administrators call. */
export const adminKeyService = (deps: Deps) =>
  ({
    listUserKeys: listUserKeys(deps),
    revokeUserKeys: revokeUserKeys(deps),
  }) satisfies Handlers<AdminKeyServiceServer>

/** instatunnel.keys.internal.v1.KeyDirectoryService: what services call. */
export const keyDirectoryService = (deps: Deps) =>
  ({
    lookUpKeys: lookUpKeys(deps),
    getKeyRecord: getKeyRecord(deps),
    leaseUses: leaseUses(deps),
    settleUses: settleUses(deps),
    createSessionKey: createSessionKey(deps),
    revokeKey: revokeKey(deps),
  }) satisfies Handlers<KeyDirectoryServiceServer>
