import type { Contender } from './contender.ts'

/** No tunnel at all: what the load and the target can do. */
export const direct: Contender = {
  name: 'direct',
  peer: false,
  start: async (target) => ({
    pids: {},
    connect: async () => ({
      place: { port: target.port, host: 'localhost' },
      pids: {},
      stop: async () => {},
    }),
    stop: async () => {},
  }),
}
