import { Refusal } from '@instatunnel/kit/refusal'
import { framed } from '../domain/grpc-frame.ts'
import { numberField } from '../domain/message-writer.ts'

const SERVING = framed(numberField(1, 1))

/** grpc.health.v1.Health.Check where Envoy asks before it calls: whoever answers serves. NOT_FOUND for any service but "". */
export function healthCheck(message: Buffer): Buffer {
  if (message.length > 0) throw new Refusal('NO_SUCH_SERVICE', 'The whole is asked for, by no name')
  return SERVING
}
