import { Refusal } from '@instatunnel/kit/refusal'
import { framed } from '../domain/grpc-frame.ts'
import { numberField } from '../domain/message-writer.ts'

const SERVING = framed(numberField(1, 1))
const NOT_SERVING = framed(numberField(1, 2))

/** grpc.health.v1.Health.Check where Envoy asks before it calls. NOT_FOUND for any service but "". */
export const healthCheck =
  (isReady: () => boolean) =>
  (message: Buffer): Buffer => {
    if (message.length > 0) throw new Refusal('NO_SUCH_SERVICE', 'The whole is asked for, by no name')
    return isReady() ? SERVING : NOT_SERVING
  }
