import { startConsumer } from '@instatunnel/kit/consumer'
import { isFirstDelivery } from '@instatunnel/kit/event'
import type { Nats } from '@instatunnel/kit/jetstream'
import type { Logger } from '@instatunnel/kit/log'
import type { Sql } from '@instatunnel/kit/postgres'
import { KeyUsage } from '@instatunnel/proto/events/v1/events'
import { z } from 'zod'
import { usesPerKey } from '../domain/usage.ts'
import { addUses } from '../store/usage-store.ts'

// What is no use of a key counts for nothing: a batch that could never be read would hold up all that come after it.
const batch = z.object({ uses: z.array(z.looseObject({}).catch({})) }).catch({ uses: [] })

/** Adds what keys admitted to their counts, each batch once. */
export const onKeyUsage = ({ sql, nats, log }: { sql: Sql; nats: Nats; log: Logger }) =>
  startConsumer({
    nats,
    log,
    stream: 'INSTATUNNEL_USAGE',
    durable: 'keys-usage',
    type: 'usage.key',
    handle: async (event) => {
      const uses = usesPerKey(KeyUsage.fromJSON(batch.parse(event.data)).uses)
      await sql.begin(async (tx) => {
        if (await isFirstDelivery(tx, event.id)) await addUses(tx, uses)
      })
    },
  })
