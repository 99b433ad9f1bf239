/** What is there, or will be. */
export type Eventual<T> = T | Promise<T>

/**
 * Goes on with a value as soon as it is there: at once where it is, without a turn of the event loop, which is what a
 * decision about known things costs most by otherwise.
 */
export const after = <Value, Next>(
  value: Eventual<Value>,
  next: (value: Value) => Eventual<Next>,
): Eventual<Next> => (value instanceof Promise ? value.then(next) : next(value))
