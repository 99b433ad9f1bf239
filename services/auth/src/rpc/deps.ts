import type { ServiceClient } from '@instatunnel/kit/client'
import type { KeyDirectoryServiceService } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import type { TunnelDirectoryServiceService } from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import type { DeviceOptions } from '../devices.ts'
import type { CheckedAddresses } from '../domain/checked-address.ts'
import type { SessionCookie } from '../domain/cookie.ts'
import type { Registration } from '../domain/registration.ts'
import type { Gate } from '../gate.ts'
import type { SessionOpening } from '../open-session.ts'
import type { PasswordHasher } from '../password-hasher.ts'
import type { SessionClaimsOf } from '../session-tokens.ts'
import type { SharedWindows } from '../shared-windows.ts'

/** What auth's handlers are made with; built in start.ts only. */
export interface Deps extends SessionOpening, DeviceOptions {
  readonly gate: Gate
  readonly keys: ServiceClient<typeof KeyDirectoryServiceService>
  readonly tunnels: ServiceClient<typeof TunnelDirectoryServiceService>
  readonly cookie: SessionCookie
  readonly sessionClaimsOf: SessionClaimsOf
  readonly passwords: PasswordHasher
  /** The windows of a minute, and the delays, that limits are counted in. */
  readonly windows: SharedWindows
  /** What a network that an account was logged in from is stored as. */
  networkDigest(email: string, network: string): Buffer
  readonly checkedAddresses: Pick<CheckedAddresses, 'verify'>
  /** LIMIT_AUTH_PER_MINUTE. */
  readonly authLimit: number
  /** Who may register without an invitation. */
  readonly registration: Registration
  /** PUBLIC_URL. */
  readonly publicUrl: string
  /** What is kept of an invitation's token. */
  readonly invitationHash: (token: string) => Buffer
}
