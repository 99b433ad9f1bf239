import { begin, field, lengthOfField, numberField, put } from './message-writer.ts'

/** Headers, by their names. */
export type Headers = Readonly<Record<string, string>>

/** envoy.config.core.v3.HeaderValueOption.append_action. */
export const ADD_IF_ABSENT = numberField(3, 1)
export const OVERWRITE = numberField(3, 2)

/** Headers as HeaderValueOptions, each in a field of this number. */
export const headerOptions = (id: number, headers: Headers, action: Buffer): Buffer =>
  Buffer.concat(Object.entries(headers).map(([name, value]) => headerOption(id, name, value, action)))

const headerOption = (id: number, name: string, value: string, action: Buffer) =>
  field(id, field(1, field(1, name), field(2, value)), action)

/** One header whose value changes with each call: all else of its HeaderValueOption is encoded once. */
export class ValueWriter {
  readonly #id: number
  readonly #name: Buffer
  readonly #action: Buffer

  constructor(id: number, name: string, action: Buffer) {
    this.#id = id
    this.#name = field(1, name)
    this.#action = action
  }

  /** How long the option is with a value of so many bytes. */
  length(bytes: number): number {
    return lengthOfField(this.#optionLength(bytes))
  }

  /** Writes the option; says where it ends. */
  put(message: Buffer, at: number, value: string, bytes: number): number {
    let next = begin(message, at, this.#id, this.#optionLength(bytes))
    next = begin(message, next, 1, this.#headerLength(bytes))
    next = put(message, next, this.#name)
    next = begin(message, next, 2, bytes)
    // A short one is sooner written here than by Node.
    if (bytes > 16 || bytes !== value.length) message.write(value, next)
    else for (let index = 0; index < bytes; index++) message[next + index] = value.charCodeAt(index)
    return put(message, next + bytes, this.#action)
  }

  #headerLength(bytes: number): number {
    return this.#name.length + lengthOfField(bytes)
  }

  #optionLength(bytes: number): number {
    return lengthOfField(this.#headerLength(bytes)) + this.#action.length
  }
}
