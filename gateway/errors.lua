-- On the way out: every failure becomes the one error shape, and nothing of gRPC or Envoy reaches a client.
local rows = require('rows')
local shown_path = require('shown_path')

-- Headers that no client gets.
local of_the_inside = {
  'grpc-status',
  'grpc-message',
  'grpc-status-details-bin', -- the transcoder leaves it where it does not know the types in it
  'x-envoy-upstream-service-time',
  'x-envoy-upstream-healthchecked-cluster',
  'x-envoy-overloaded',
}

-- What the transcoder calls a type, in words for people.
local wanted = {
  TYPE_STRING = 'must be a string',
  TYPE_BOOL = 'must be true or false',
  TYPE_INT32 = 'must be a whole number between -2147483648 and 2147483647',
  TYPE_UINT32 = 'must be a whole number between 0 and 4294967295',
  TYPE_DOUBLE = 'must be a number',
  ['type.googleapis.com/google.protobuf.Struct'] = 'must be an object',
  ['type.googleapis.com/google.protobuf.FieldMask'] = 'must be field names with commas between them',
  ['type.googleapis.com/google.protobuf.Timestamp'] = 'must be a time as in RFC 3339',
}

-- The type that an "invalid value" is refused for stands at the end of the text, behind the value, which may be long.
local longest_type = 100

-- The transcoder's texts → the field at fault and what is wrong with it. They hold what the client wrote, up to a mebibyte:
-- no pattern here starts over for each place in the text.
-- https://github.com/grpc-ecosystem/grpc-httpjson-transcoding (request_weaver.cc, type_helper.cc) and protobuf's json converter
local function field_at_fault(text)
  local field = text:match('^([^:]+): invalid value ')
  if field then return field, wanted[text:sub(-longest_type):match(' for type ([%w_./]+)$')] or 'is not valid' end

  field = text:match(' of the field ([%w_.]+) is conflicting with the value ')
  if field then return field, 'differs between the body and the path or query' end
  local map = text:find('.fields', 1, true)
  if map and text:find(': Repeated map key: ', map, true) then return text:sub(1, map - 1), 'holds a name twice' end
  if text:find('^Encountered non UTF%-8') then return 'body', 'is not valid UTF-8' end
  if text:find('^Number exceeds the range') then return 'body', 'holds a number that is too large' end
  return 'body', 'is not valid JSON'
end

-- Header values are checked nowhere else: only a number and a JSON object of ours become an answer.
local function finished(headers)
  local status, body = headers:get('x-instatunnel-error-status'), headers:get('x-instatunnel-error-body')
  headers:remove('x-instatunnel-error-status')
  headers:remove('x-instatunnel-error-body')
  if status and body and status:find('^[45]%d%d$') and body:find('^{.*}$') then return status, body end
end

-- From now on this is the answer. Headers come first: with the body they may leave.
local function answer(handle, status, json)
  local headers = handle:headers()
  headers:replace(':status', tostring(status))
  headers:replace('content-type', 'application/json')
  headers:replace('content-length', tostring(#json))
  handle:body(true):setBytes(json)
end

-- A failure that does not say what REST clients get, e.g. of a request that the service could not read. Its gRPC status
-- stands in the transcoder's google.rpc.Status, or in the header where that could not be made.
local function answer_by_grpc_status(handle, code)
  local body = handle:body()
  code = code or body and body:getBytes(0, body:length()):match('"code":(%d+)')
  local name = rows.by_grpc[tonumber(code)] or 'internal'
  if name == 'unauthorized' then handle:headers():replace('www-authenticate', 'Bearer realm="instatunnel"') end
  answer(handle, rows[name].http, rows.json(name))
end

-- It also sees what a route refuses: it notes what the access log may tell of the path, and the id, which is ours by now.
function envoy_on_request(handle)
  local headers, log = handle:headers(), handle:streamInfo():dynamicMetadata()
  log:set('log', 'path', shown_path(headers:get(':path') or ''))
  log:set('log', 'request_id', headers:get('x-request-id'))
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local from_service = headers:get('x-envoy-upstream-service-time') ~= nil
  local grpc_status = headers:get('grpc-status')
  for _, name in ipairs(of_the_inside) do headers:remove(name) end

  if headers:get('x-instatunnel-refused-by') then
    headers:remove('x-instatunnel-refused-by')
    local body = handle:body()
    local text = body:getBytes(0, body:length())
    return answer(handle, 400, rows.field_json(field_at_fault(text)))
  end
  -- Envoy refuses gRPC as gRPC, which is 200 to the eye of HTTP.
  if not from_service and (headers:get('content-type') or ''):find('^application/grpc') then
    return answer(handle, 415, rows.json('unsupported_media_type'))
  end
  if not from_service or headers:get(':status') == '200' then return end
  -- A relay speaks HTTP, and finishes its answers itself.
  if handle:streamInfo():routeName() == 'connect' then return end

  local status, json = finished(headers)
  if status then return answer(handle, status, json) end
  answer_by_grpc_status(handle, grpc_status)
end
