-- Rows of the error table that the gateway itself answers with: services/kit/src/errors.ts has them all, and a test
-- holds the two together. The messages are fixed and tell nothing of the inside.
local rows = {
  validation_error = { http = 400, code = 4000, message = 'The request is not valid.' },
  unauthorized = { http = 401, code = 4001, message = 'Invalid or missing API key' },
  forbidden = { http = 403, code = 4003, message = 'This is not allowed.' },
  not_found = { http = 404, code = 4004, message = 'There is no such thing.' },
  conflict = { http = 409, code = 4010, message = 'This is in conflict with what is there.' },
  plan_limit = { http = 403, code = 4013, message = 'The plan does not allow this.' },
  unsupported_media_type = { http = 415, code = 4015, message = 'The body must be application/json.' },
  rate_limited = { http = 429, code = 4029, message = 'Too many requests; try again later.' },
  internal = { http = 500, code = 5000, message = 'Something went wrong on our side.' },
  unimplemented = { http = 501, code = 5001, message = 'This does not exist yet.' },
  unavailable = { http = 503, code = 5003, message = 'The service is not available right now; try again shortly.' },
  timeout = { http = 504, code = 5004, message = 'The service did not answer in time; try again.' },
}

-- gRPC status → row, for failures that do not say themselves what REST clients get.
-- https://grpc.github.io/grpc/core/md_doc_statuscodes.html
rows.by_grpc = {
  [1] = 'internal', -- CANCELLED
  [2] = 'internal', -- UNKNOWN
  [3] = 'validation_error', -- INVALID_ARGUMENT
  [4] = 'timeout', -- DEADLINE_EXCEEDED
  [5] = 'not_found', -- NOT_FOUND
  [6] = 'conflict', -- ALREADY_EXISTS
  [7] = 'forbidden', -- PERMISSION_DENIED
  [8] = 'rate_limited', -- RESOURCE_EXHAUSTED
  [9] = 'plan_limit', -- FAILED_PRECONDITION
  [10] = 'conflict', -- ABORTED
  [11] = 'validation_error', -- OUT_OF_RANGE
  [12] = 'unimplemented', -- UNIMPLEMENTED
  [13] = 'internal', -- INTERNAL
  [14] = 'unavailable', -- UNAVAILABLE
  [15] = 'internal', -- DATA_LOSS
  [16] = 'unauthorized', -- UNAUTHENTICATED
}

-- The longest text that an answer tells, and the longest name in it.
local max_message, max_name = 500, 200

-- A JSON string: what is not printable ASCII becomes "?", as it comes from the client and only names something.
local function quoted(text)
  return '"' .. text:sub(1, max_message):gsub('[^\32-\126]', '?'):gsub('["\\]', '\\%0') .. '"'
end

-- The error shape.
function rows.json(name, message)
  local row = rows[name]
  return ('{"error":"%s","message":%s,"code":%d}'):format(name, quoted(message or row.message), row.code)
end

-- The error shape of a field that is not acceptable.
function rows.field_json(field, message)
  field = field:sub(1, max_name)
  return ('{"error":"validation_error","message":%s,"code":4000,"fields":[{"field":%s,"message":%s}]}'):format(
    quoted(field .. ': ' .. message), quoted(field), quoted(message))
end

return rows
