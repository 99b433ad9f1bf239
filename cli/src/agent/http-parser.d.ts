/** What of Node's own HTTP parser is used; node:http stands on the same. */
declare module 'node:_http_common' {
  export class HTTPParser {
    static readonly RESPONSE: number
    static readonly kOnMessageBegin: number
    static readonly kOnHeaders: number
    static readonly kOnHeadersComplete: number
    static readonly kOnBody: number
    static readonly kOnMessageComplete: number
    static readonly kLenientNone: number
    initialize(type: number, resource: object, maxHeaderSize: number, lenientFlags: number): void
    /** How many bytes were parsed; fewer than all where what follows is no HTTP any more. */
    execute(bytes: Buffer): number | Error
    /** Tells that nothing follows. */
    finish(): Error | undefined
    close(): void
    [callback: number]: ((...told: never[]) => unknown) | undefined
  }
}
