import { Client, credentials } from '@grpc/grpc-js'
import { IDENTITY_METADATA } from '@instatunnel/kit/guard'
import { AuthorizationService, CheckRequest } from '@instatunnel/proto/envoy/service/auth/v3/external_auth'
import { ApiKeyServiceService, VerifyKeyRequest } from '@instatunnel/proto/keys/v1/api_key_service'
import { rpcsOf } from '@instatunnel/test/rpcs'
import { callsEntrant } from './check-entrant.ts'
import { checkHeaders, checkRequest } from './check-request.ts'
import type { Platform } from './platform.ts'
import type { Entrant } from './rounds.ts'

/** keys' public VerifyKey, asked about the account's key over and over, as the gateway passes it on. */
export const verifyEntrant = (name: string, platform: Platform): Entrant => {
  const message = VerifyKeyRequest.encode(VerifyKeyRequest.fromPartial({ key: platform.apiKey })).finish()
  return callsEntrant(name, {
    port: platform.stack.service('keys').port,
    pids: platform.pids(),
    headers: async () => ({
      ...checkHeaders,
      ':path': ApiKeyServiceService.verifyKey.path,
      [IDENTITY_METADATA]: await identityOf(platform),
    }),
    lane: { message: Buffer.from(message).toString('base64'), expected: 'valid' },
  })
}

/** What auth has the gateway tell the services about the account. */
async function identityOf({ checkPort, apiKey }: Platform): Promise<string> {
  const channel = new Client(`127.0.0.1:${checkPort}`, credentials.createInsecure())
  try {
    const { check } = rpcsOf(channel, { check: AuthorizationService.check })
    const { httpResponse } = await check(CheckRequest.decode(checkRequest(apiKey)))
    if (httpResponse?.$case !== 'okResponse') throw new Error('auth refuses the key')
    const told = httpResponse.value.headers.find(({ header }) => header?.key === IDENTITY_METADATA)
    return told?.header?.value ?? ''
  } finally {
    channel.close()
  }
}
