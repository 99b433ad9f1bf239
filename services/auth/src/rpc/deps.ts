import type { ServiceClient } from '@instatunnel/kit/client'
import type { KeyDirectoryServiceService } from '@instatunnel/proto/keys/internal/v1/key_directory_service'
import type { TunnelDirectoryServiceService } from '@instatunnel/proto/tunnels/internal/v1/tunnel_directory_service'
import type { SessionCookie } from '../domain/cookie.ts'
import type { Registration } from '../domain/registration.ts'
import type { SlidingWindows } from '../domain/sliding-window.ts'
import type { Gate } from '../gate.ts'
import type { SessionOpening } from '../open-session.ts'
import type { PasswordHasher } from '../password-hasher.ts'

/** What auth's handlers are made with; built in start.ts only. */
export interface Deps extends SessionOpening {
  readonly gate: Gate
  readonly keys: ServiceClient<typeof KeyDirectoryServiceService>
  readonly tunnels: ServiceClient<typeof TunnelDirectoryServiceService>
  readonly cookie: SessionCookie
  readonly passwords: PasswordHasher
  /** The windows of a minute that limits are counted in. */
  readonly windows: SlidingWindows
  /** LIMIT_AUTH_PER_MINUTE. */
  readonly authLimit: number
  /** Who may register without an invitation. */
  readonly registration: Registration
  /** What is kept of an invitation's token. */
  readonly invitationHash: (token: string) => Buffer
}
