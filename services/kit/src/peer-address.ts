import { canonicalAddress } from './network.ts'

/** The address in what grpc-js says of a peer, "127.0.0.1:50051" or "::1:50051"; empty where it says none. */
export const peerAddressOf = (peer: string): string =>
  canonicalAddress(peer.slice(0, Math.max(peer.lastIndexOf(':'), 0))) ?? ''
