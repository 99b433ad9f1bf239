/** How a call is refused whose fields are at fault. */
export const invalid = (...fields: { field: string; message: string }[]) => {
  const message = fields.map((fault) => `${fault.field}: ${fault.message}`).join('; ')
  return {
    code: 'INVALID_ARGUMENT',
    reason: 'INVALID_FIELDS',
    message,
    metadata: {},
    fields,
    http: 400,
    body: { error: 'validation_error', message, code: 4000, fields },
  }
}

/** How a call is refused without, or with a wrong, credential. */
export const unauthorized = {
  admitted: false,
  code: 16,
  status: 401,
  headers: { 'content-type': 'application/json', 'www-authenticate': 'Bearer realm="instatunnel"' },
  body: { error: 'unauthorized', message: 'Invalid or missing API key', code: 4001 },
}

/** How a call is refused whose credential lacks a scope. */
export const scopeMissing = (scope: string) => ({
  admitted: false,
  code: 7,
  status: 403,
  body: {
    error: 'forbidden',
    message: 'Insufficient permissions for this operation',
    code: 4003,
    required_scope: scope,
  },
})
