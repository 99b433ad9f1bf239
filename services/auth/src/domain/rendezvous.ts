/** Names the owner of each subject. */
export interface Rendezvous {
  /** Which of `replicas` owns a subject; undefined where there are none. Same replicas in whatever order, same owner. */
  ownerOf(subject: string, replicas: readonly string[]): string | undefined
}

// Subjects fall into so many slots, and each slot has an owner: what is remembered never grows.
const SLOTS = 4096

/**
 * Highest random weight (rendezvous hashing, Thaler and Ravishankar 1998): everybody who knows the same replicas names the
 * same owner without asking, and where one comes or goes, only what it owns changes hands. Costs a hash of the subject:
 * owners are remembered as long as the list of replicas is the same object.
 */
export function createRendezvous(): Rendezvous {
  let known: readonly string[] = []
  let owners: (string | undefined)[] = []
  return {
    ownerOf(subject, replicas) {
      if (replicas !== known) {
        known = replicas
        owners = new Array(SLOTS)
      }
      const slot = scattered(hashOf(subject)) % SLOTS
      owners[slot] ??= heaviest(slot, replicas)
      return owners[slot]
    },
  }
}

function heaviest(slot: number, replicas: readonly string[]): string | undefined {
  let owner: string | undefined
  let most = -1
  for (const replica of replicas) {
    const weight = scattered(hashOf(replica) ^ Math.imul(slot + 1, 0x9e3779b1))
    // Equal weights are as good as impossible, and no reason to differ.
    if (weight > most || (weight === most && replica > (owner as string))) {
      owner = replica
      most = weight
    }
  }
  return owner
}

/** FNV-1a, 32 bits (RFC 9923), over UTF-16 units. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash
}

/** Every bit of the hash in every bit of the result (the finalizer of MurmurHash3). */
function scattered(hash: number): number {
  let bits = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return (bits ^ (bits >>> 16)) >>> 0
}
