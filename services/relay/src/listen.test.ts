import { createServer, request } from 'node:http'
import { connect, type Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { listenOn } from './listen.ts'

const closed = (socket: Socket) =>
  new Promise<void>((resolve) => socket.on('error', () => {}).on('close', () => resolve()))

describe('listenOn', () => {
  it.each(['127.0.0.1:0', 'localhost:0'])('tells at which port it listens for %s', async (address) => {
    const listening = await listenOn(createServer(), address)
    expect(listening.address).toMatch(/^(127\.0\.0\.1|localhost):[1-9]\d*$/)
    await listening.close()
  })

  it('says where it cannot', async () => {
    const first = await listenOn(createServer(), '127.0.0.1:0')
    await expect(listenOn(createServer(), first.address)).rejects.toMatchObject({ code: 'EADDRINUSE' })
    await first.close()
  })

  it('closes with all that is connected: what says nothing, what waits, what was upgraded and is not read', async () => {
    const server = createServer()
    const waiting = new Promise((resolve) => server.on('request', resolve))
    const upgraded = new Promise<void>((resolve) =>
      server.on('upgrade', (_, socket) => {
        socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n')
        resolve()
      }),
    )
    const { address, close } = await listenOn(server, '127.0.0.1:0')
    const port = Number(address.split(':')[1])
    const silent = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const switched = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    switched.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
    const asked = request({ port, host: '127.0.0.1' }).on('error', () => {})
    asked.end()
    await Promise.all([waiting, upgraded])
    const ends = [silent, switched].map(closed)
    for (const socket of [silent, switched]) socket.resume().on('end', () => socket.destroy())
    await close()
    await Promise.all(ends)
  })

  it('goes on after a connection that it could not take', async () => {
    const server = createServer((_, response) => response.end())
    const { address, close } = await listenOn(server, '127.0.0.1:0')
    for (let n = 0; n < 2; n++) server.emit('error', Object.assign(new Error(), { code: 'EMFILE' }))
    expect((await fetch(`http://${address}`)).status).toBe(200)
    await close()
  })
})
